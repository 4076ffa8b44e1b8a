"""`agegender plan`: reads the command line, plans, plays it through, prints."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from agegender.commands.plan.check import Check, check_plan, usual_delay
from agegender.commands.plan.constants import SHIPPED, Constants
from agegender.commands.plan.demand import Demand
from agegender.commands.plan.plan import make_plan
from agegender.commands.plan.tables import advice, check_grid, drawn, plan_grids, plan_record, sentences
from agegender.commands.query.records import write_json
from agegender.shared.errors import SettingsError

_SIZE = re.compile(r"([1-9]\d{1,4})x([1-9]\d{1,4})")


def plan(
    cameras: Annotated[int, typer.Option(help="How many, 1 to 100,000.")],
    fps: Annotated[float, typer.Option(help="Frames a second to look at, of each camera.")] = 5.0,
    faces: Annotated[float, typer.Option(help="People before a camera at once, in the busy hours.")] = 2.0,
    stay: Annotated[float, typer.Option(help="Seconds that somebody stays before a camera.")] = 20.0,
    busy_hours: Annotated[float, typer.Option(help="Hours of a day that are busy.")] = 12.0,
    stream_fps: Annotated[float, typer.Option(help="Frames a second that a camera sends.")] = 25.0,
    stream_size: Annotated[str, typer.Option(help="Their size in pixels.")] = "1280x720",
    gpu: Annotated[bool, typer.Option("--gpu", help="GPUs run the nets of classify.")] = False,
    headroom: Annotated[float, typer.Option(help="How many times that load the workers are to bear.")] = 1.5,
    replication: Annotated[int, typer.Option(help="Copies that Kafka keeps.")] = 3,
    picture_minutes: Annotated[float, typer.Option(help="How long Kafka keeps pictures.")] = 10.0,
    kept_days: Annotated[float, typer.Option(help="How long Redis keeps persons.")] = 1.0,
    within: Annotated[float, typer.Option(help="Seconds from a frame to the store, for 99 of 100.")] = 2.0,
    constants: Annotated[
        Path, typer.Option(help="What a machine of yours does: `make bench CONSTANTS=FILE` writes it.")
    ] = SHIPPED,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Play it through: usual hours, a rush, a worker that dies.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """What so many cameras need: workers, partitions, Kafka, Redis; what costs most and what breaks first."""
    measured = Constants.load(constants)
    made = make_plan(
        Demand(
            cameras=cameras,
            fps=fps,
            faces=faces,
            stay_s=stay,
            busy_hours=busy_hours,
            stream_fps=stream_fps,
            stream_wh=_size(stream_size),
            gpu=gpu,
            headroom=headroom,
            replication=replication,
            picture_minutes=picture_minutes,
            kept_days=kept_days,
            within_s=within,
        ),
        measured,
    )
    checks = check_plan(made, measured) if simulate else [usual_delay(made, measured)]
    if as_json:
        write_json([{**plan_record(made), "simulated": [_record(one) for one in checks]}], sys.stdout)
    else:
        console = Console()
        for sentence in sentences(made, measured, checks[0]):
            console.print(sentence, highlight=False)
        for title, grid in plan_grids(made).items():
            console.print(drawn(title, grid))
        for sentence in advice(made, measured):
            console.print(f"- {sentence}", highlight=False)
        if simulate:
            console.print(drawn("Played through", check_grid(checks)))
    if any(not one.holds for one in checks):
        raise typer.Exit(1)


def _size(text: str) -> tuple[int, int]:
    found = _SIZE.fullmatch(text)
    if found is None:
        raise SettingsError(f"--stream-size: expected WIDTHxHEIGHT as in 1920x1080, got {text!r}")
    return int(found[1]), int(found[2])


def _record(check: Check) -> dict[str, object]:
    # JSON has no word for what never ends.
    finite = {
        name: None if isinstance(value, float) and math.isinf(value) else value
        for name, value in check._asdict().items()
    }
    return {**finite, "holds": check.holds}
