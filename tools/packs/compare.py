"""Compare the packs, and what was left out, with nets A and B alone, on people that no part was fitted to.

::

    python -m tools.packs.compare FAIRFACE ALL_AGE_FACES --readings FOLDER

`tools.packs.fit_head` and `tools.packs.calibrate` run first. Each half of the people is answered by the heads
and the calibration that were fitted to the other half. Heads that were left out are fitted here, and kept in
FOLDER. `±` is half of the interval that holds 95 of 100 bootstrap samples of the people. Differences are
paired: both ways answer for the same sample. The CPU time is of one thread in one run, each way in turn: only
the ratio counts.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from agegender.commands.evaluate.bootstrap import Bootstrap, Estimate
from agegender.commands.evaluate.classify import FaceFinder, read_picture
from agegender.commands.evaluate.dataset import load_labels
from agegender.services.classify.head import Head
from agegender.services.classify.nets import NET_A, NET_B, LiteRT, View, column_names, combine
from agegender.shared.images.pictures import decode_picture
from agegender.shared.messages.pipeline import Face
from agegender.shared.models import load_manifest
from tools.calibration.labelled_faces import Floats
from tools.packs.answered import CHILD_YEARS, Answered, by_pack, by_recipe, groups, nets_alone
from tools.packs.faces import ReadFaces, read_faces
from tools.packs.fit_head import LEFT_OUT, RECIPES, Recipe, fit_halves, half_file, published_heads
from tools.packs.training import together

TODAY = "A + B, mirrored too"
_NETS_AB = (NET_A, NET_B)
_TIMED_CHIPS, _ROUNDS = 40, 5
_FEWEST_FACES = 10
_ADULT_YEARS, _GROWN_YEARS = 20.0, 18.0
_BIAS_BANDS = ((20, 30), (30, 40), (40, 50), (50, 60))


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--readings", type=Path, required=True, help="the folder of the other tools")
    chosen = parser.parse_args()
    readings: Path = chosen.readings
    cv2.setNumThreads(1)
    console = Console(width=170)
    sets = {path.name: read_faces(path, readings) for path in chosen.datasets}
    fit_left_out(sets, readings)
    ms = cpu_ms(chips(chosen.datasets[0]), readings)
    for name, faces in sets.items():
        original = faces.where(~faces.copied)
        ways = {TODAY: nets_alone(original)}
        ways |= {pack: by_pack(pack, original, readings) for pack in RECIPES}
        ways |= {left: by_recipe(left, recipe, original, readings) for left, recipe in LEFT_OUT.items()}
        console.print(main_table(name, ways, ms))
        console.print(difference_table(name, ways))
        for pack in RECIPES:
            console.print(group_table(f"{name}, {pack}", ways[pack]))
    return 0


def fit_left_out(sets: Mapping[str, ReadFaces], readings: Path) -> None:
    """Fits the heads of LEFT_OUT that `readings` does not have yet."""
    published = published_heads()
    for name, recipe in LEFT_OUT.items():
        if half_file(readings, name, 1).exists():
            continue
        for half, fitted in enumerate(fit_halves(recipe, sets, published)):
            half_file(readings, name, half).write_bytes(fitted.head(published).to_bytes())


def main_table(title: str, ways: Mapping[str, Answered], ms: Mapping[str, float]) -> Table:
    """One row for each way, with what matters most."""
    table = Table(title=f"{title}: {len(ways[TODAY].age_years)} faces")
    columns = ("CPU", "age off", "gender", "from 10", "women from 10", "holds", "width", "named", "right")
    for name in ("", *columns, "adults under 18", "children over 18", "bias 20 30 40 50"):
        table.add_column(name, justify="right" if name else "left")
    for name, way in ways.items():
        table.add_row(name, f"{ms[name] / ms[TODAY]:.2f}", *_figures(way))
    return table


def difference_table(title: str, ways: Mapping[str, Answered]) -> Table:
    """What each way gains or loses against TODAY, with the interval of 95 of 100 samples."""
    table = Table(title=f"{title}: difference to {TODAY}")
    for name in ("", "age off, years", "gender, points", "from 10", "women from 10"):
        table.add_column(name, justify="right" if name else "left")
    before = ways[TODAY]
    for name, way in ways.items():
        if name == TODAY:
            continue
        gained = 100 * (way.right - before.right)
        cells = [_difference(way.off_years - before.off_years)]
        cells += [_difference(gained[there]) for there in _genders_of(way.faces)]
        table.add_row(name, *cells)
    return table


def group_table(title: str, way: Answered) -> Table:
    """How intervals and genders hold in each group of people."""
    table = Table(title=title)
    for name in ("", "faces", "age off", "bias", "holds", "width", "named", "stated", "right"):
        table.add_column(name, justify="right" if name else "left")
    for name, there in groups(way):
        if there.sum() < _FEWEST_FACES:
            continue
        part = way.where(there)
        named = part.named
        table.add_row(
            name,
            str(there.sum()),
            f"{part.off_years.mean():.1f}",
            f"{np.mean(part.age_years - part.middle_years):+.1f}",
            f"{part.holds.mean():.0%}",
            f"{np.mean(part.to_years - part.from_years):.1f}",
            f"{named.mean():.0%}",
            f"{part.confidence[named].mean():.1%}" if named.any() else "",
            f"{part.right[named].mean():.1%}" if named.any() else "",
        )
    return table


def _figures(way: Answered) -> Iterator[str]:
    faces, off, right = way.faces, way.off_years, way.right
    yield f"{off.mean():.2f} ± {_spread(off):.2f}"
    for there in _genders_of(faces):
        yield f"{right[there].mean():.1%} ± {_spread(right[there]):.1%}"
    if len(way.from_years):
        yield f"{way.holds.mean():.1%}"
        yield f"{np.mean(way.to_years - way.from_years):.1f}"
        yield f"{way.named.mean():.0%}"
        yield f"{right[way.named].mean():.1%}"
    else:
        yield from ("", "", "", "")
    adult, child = faces.low_years >= _ADULT_YEARS, faces.end_years <= CHILD_YEARS
    yield f"{np.mean(way.age_years[adult] < _GROWN_YEARS):.1%}"
    yield f"{np.mean(way.age_years[child] > _GROWN_YEARS):.1%}"
    middle = way.middle_years
    yield " ".join(
        f"{np.mean((way.age_years - middle)[(middle >= low) & (middle < end)]):+.1f}"
        for low, end in _BIAS_BANDS
    )


def _genders_of(faces: ReadFaces) -> Iterator[NDArray[np.bool_]]:
    """The faces that genders are reported for: all, from 10 years, women from 10 years."""
    grown = faces.low_years >= CHILD_YEARS
    yield from (np.full(len(grown), True), grown, grown & ~faces.male)


def _difference(values: Floats) -> str:
    """The mean, and the interval that holds it in 95 of 100 bootstrap samples."""
    found = _mean(values)
    if found.low is None or found.high is None:
        return f"{found.value:+.2f}"
    return f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def _spread(values: Floats) -> float:
    """Half of the interval of the mean; 0 where the values are alike or too few."""
    return _mean(values).margin or 0.0


def _mean(values: Floats) -> Estimate:
    found = Bootstrap(len(values)).mean(values.tolist())
    if found is None:
        raise ValueError("expected faces, got none")
    return found


def chips(dataset: Path) -> NDArray[np.uint8]:
    """The chips of the first faces of a set, to measure the time with."""
    finder = FaceFinder.load()
    labels = load_labels(dataset)[:_TIMED_CHIPS]
    found = [finder.middle_face(read_picture(label.path), label.path) for label in labels]
    return np.stack([decode_picture(one.chip_jpeg) for one in found if isinstance(one, Face)])


def cpu_ms(chips_bgr: NDArray[np.uint8], readings: Path) -> Mapping[str, float]:
    """The least CPU time a face of each way, over some rounds in which all ways take turns."""
    alone = LiteRT([View(net, mirrored) for net in _NETS_AB for mirrored in (False, True)])
    alone.open()
    ways: dict[str, Callable[[], object]] = {TODAY: lambda: alone.outputs(chips_bgr)}
    for name, recipe in chain(RECIPES.items(), LEFT_OUT.items()):
        ways[name] = _way(name, recipe, chips_bgr, readings)
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(_ROUNDS):
        for name, work in ways.items():
            started_s = time.process_time()
            work()
            least[name] = min(least[name], (time.process_time() - started_s) * 1000 / len(chips_bgr))
    return least


def _way(name: str, recipe: Recipe, chips_bgr: NDArray[np.uint8], readings: Path) -> Callable[[], object]:
    """Runs the nets of a recipe and its heads of both halves, as a pack does."""
    run = [view for net in recipe.nets for view in _views(net, recipe)]
    nets = LiteRT(run)
    nets.open()
    halves = [Head.from_bytes(half_file(readings, name, half).read_bytes()) for half in (0, 1)]
    members, errors = (together([getattr(one, part) for one in halves]) for part in ("members", "errors"))
    head = Head(halves[0].published, members, errors)
    names = column_names(load_manifest())
    return lambda: head.predict(combine(run, nets.outputs(chips_bgr), names))


def _views(net: str, recipe: Recipe) -> Iterator[View]:
    yield View(net, mirrored=False)
    if net in recipe.mirrored:
        yield View(net, mirrored=True)


if __name__ == "__main__":
    sys.exit(main())
