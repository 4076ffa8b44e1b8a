"""`python -m tools.pictures.scale`: draws the curves of docs/scale.md, and writes its tables anew.

All of it from the constants that come with the project. The measured tables are kept as they are.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

from agegender.commands.plan.constants import Constants
from agegender.commands.plan.demand import Demand, rates
from agegender.commands.plan.plan import Plan, make_plan
from agegender.commands.plan.simulation import Scenario, play
from agegender.commands.plan.workers import DETECT_CORES, detect_of, partitions_for
from tools.pictures.line_chart import Axis, Line, chart
from tools.pictures.scale_tables import DOCUMENT, with_tables

_FOLDER = Path(__file__).parents[2] / "docs"
_CAMERAS = (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000)
_LOADS = (0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 2.0)
_SYSTEMS = (1_000, 10_000, 100_000)
_DIES_S, _SECONDS = 20.0, 80.0


def cores_chart(constants: Constants) -> str:
    """What chance costs: cores of detect for each core of work, by the size of its workers."""
    lines = []
    for colour, cores in enumerate(DETECT_CORES):
        points = []
        for cameras in _CAMERAS:
            demand = Demand(cameras)
            detect = detect_of(cores, demand, constants, rates(demand))
            points.append((float(cameras), detect.cores / detect.load_cores))
        lines.append(Line(f"workers of {cores} core{'s' * (cores > 1)}", points, colour))
    lines.append(Line("the headroom alone", [(10, 1.5), (100_000, 1.5)], 0, dashed=True))
    across = Axis("cameras of one system", (10, 100, 1_000, 10_000, 100_000), logarithmic=True)
    up = Axis("cores planned for a core of work", (1, 2, 4, 8, 16, 32), logarithmic=True)
    return chart("Cameras fall upon workers by chance", across, up, lines)


def delay_chart(constants: Constants) -> str:
    """Where delay grows: from a frame to the store, with more and more cameras for the same workers."""
    lines = []
    for colour, cameras in enumerate(_SYSTEMS):
        plan = make_plan(Demand(cameras), constants)
        played = [(load, play(plan, constants, Scenario(20.0, load, seed=cameras))) for load in _LOADS]
        for share, name in ((0.5, "half"), (0.99, "99 of 100")):
            points = [(100 * load, one.percentile(share)) for load, one in played]
            lines.append(Line(f"{cameras:,}: {name}", points, colour, dashed=share < 0.99))
    small = _of_small_workers(make_plan(Demand(_SYSTEMS[0]), constants), constants)
    points = [
        (100 * load, play(small, constants, Scenario(20.0, load, seed=_SYSTEMS[0])).percentile(0.99))
        for load in _LOADS
    ]
    lines.append(Line("1,000, small workers: 99", points, 3))
    across = Axis("cameras, % of those that were planned for", (25, 50, 75, 100, 125, 150, 175, 200))
    up = Axis("seconds until it is in the store", (0.1, 0.2, 0.5, 1, 2, 5, 10), logarithmic=True)
    return chart("Where delay grows: the busiest workers first", across, up, lines)


def _of_small_workers(plan: Plan, constants: Constants) -> Plan:
    """The same with detect workers of one core: the headroom alone, and no thought of chance."""
    each = detect_of(1, plan.demand, constants, plan.rates)
    workers = math.ceil(each.load_cores * plan.demand.headroom)
    topics = [
        replace(one, partitions=partitions_for(workers)) if one.name == "frames" else one
        for one in plan.topics
    ]
    detect = replace(each, workers=workers)
    return replace(plan, workers={**plan.workers, "detect": detect}, topics=topics)


def death_chart(constants: Constants) -> str:
    """What a death in detect does."""
    lines = []
    for colour, cameras in enumerate((10, 200, 5_000)):
        plan = make_plan(Demand(cameras), constants)
        played = play(plan, constants, Scenario(_SECONDS, detect_dies_s=_DIES_S))
        seconds, delay_s = played.by_second(0.99)
        points = list(zip((seconds - _DIES_S).tolist(), delay_s.tolist(), strict=True))
        lines.append(Line(f"{cameras:,} cameras", points, colour))
    across = Axis("seconds after the death of a worker of detect", (-15, 0, 15, 30, 45, 60))
    up = Axis("delay of 99 of 100 faces, seconds", (0, 10, 20, 30))
    return chart("Nothing is lost; what waited comes late", across, up, lines)


def main() -> None:
    """Draws and writes all of it."""
    constants = Constants.load()
    for name, draw in (("cores", cores_chart), ("delay", delay_chart), ("death", death_chart)):
        (_FOLDER / f"scale-{name}.svg").write_text(draw(constants))
    DOCUMENT.write_text(with_tables(DOCUMENT.read_text(), constants))


if __name__ == "__main__":
    main()
