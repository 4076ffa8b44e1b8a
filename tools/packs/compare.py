"""Compare the packs with nets A and B alone, on people that no part of them was fitted to.

::

    python -m tools.packs.compare FAIRFACE ALL_AGE_FACES --readings FOLDER

`tools.packs.fit_head` and `tools.packs.calibrate` run first. Each half of the people is answered by the heads
and the calibration that were fitted to the other half. `±` is half of the interval that holds 95 of 100
bootstrap samples of the people. The CPU time is of one thread in one run, each way in turn: only the ratio
counts.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from agegender.commands.evaluate.classify import FaceFinder, read_picture
from agegender.commands.evaluate.dataset import load_labels
from agegender.services.classify.calibration import Calibration
from agegender.services.classify.nets import NET_A, NET_B, LiteRT, View, litert_nets
from agegender.shared.images.pictures import decode_picture
from agegender.shared.messages.pipeline import Face
from agegender.shared.models import PackName
from tools.calibration.labelled_faces import Floats
from tools.packs.calibrate import half_calibration, unseen
from tools.packs.faces import ReadFaces, read_faces
from tools.packs.fit_head import RECIPES

TODAY = "A + B, mirrored too"
_NETS_AB = (NET_A, NET_B)
_RESAMPLED = 1_000
_TIMED_CHIPS, _ROUNDS = 40, 5
_OPEN_END_YEARS = 80.0
_ADULT_YEARS, _GROWN_YEARS, _CHILD_YEARS = 20.0, 18.0, 10.0
_BIAS_BANDS = ((20, 30), (30, 40), (40, 50), (50, 60))


@dataclass(frozen=True)
class Answered:
    """N faces with the answers of one way, (N,) each. The last four are empty for nets alone."""

    faces: ReadFaces
    age_years: Floats
    male: NDArray[np.bool_]
    """The likelier gender."""
    from_years: Floats
    to_years: Floats
    confidence: Floats
    named: NDArray[np.bool_]
    """Whether the gender is not `unknown`."""

    def where(self, chosen: NDArray[np.bool_]) -> Answered:
        """Some of the faces."""
        rest = {name: value[chosen] for name, value in vars(self).items() if name != "faces" and len(value)}
        empty = {name: value for name, value in vars(self).items() if name != "faces" and not len(value)}
        return Answered(self.faces.where(chosen), **rest, **empty)

    @property
    def middle_years(self) -> Floats:
        """The middle of the span of each label."""
        end_years = np.where(np.isinf(self.faces.end_years), _OPEN_END_YEARS, self.faces.end_years)
        return np.asarray((self.faces.low_years + end_years) / 2)

    @property
    def holds(self) -> Floats:
        """The chance that the interval holds the age, (N,)."""
        return self.faces.covered(self.from_years, self.to_years)


def main() -> int:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datasets", type=Path, nargs="+")
    parser.add_argument("--readings", type=Path, required=True, help="the folder of the other tools")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    console = Console(width=150)
    ms = cpu_ms(chips(chosen.datasets[0]))
    console.print(
        "CPU time a face: "
        + ", ".join(f"{name} {one:.2f} ms ({one / ms[TODAY]:.2f})" for name, one in ms.items())
    )
    for dataset in chosen.datasets:
        faces = read_faces(dataset, chosen.readings)
        faces = faces.where(~faces.copied)
        ways = {TODAY: nets_alone(faces)}
        ways |= {pack: by_pack(pack, faces, chosen.readings) for pack in RECIPES}
        console.print(main_table(dataset.name, ways))
        for name, way in ways.items():
            if len(way.from_years):
                console.print(group_table(f"{dataset.name}, {name}", way))
    return 0


def nets_alone(faces: ReadFaces) -> Answered:
    """Net A's age, and the sum of the logits of A and B, over the face and its mirror image."""
    outputs = {
        name: (vars(faces)[f"upright_{name}"] + vars(faces)[f"mirrored_{name}"]) / 2 for name in ("a", "b")
    }
    logit = outputs["a"][:, 1] - outputs["a"][:, 2] + outputs["b"][:, 1] - outputs["b"][:, 0]
    nothing = np.empty(0)
    age_years = np.clip(outputs["a"][:, 0], 0, None).astype(np.float64)
    return Answered(faces, age_years, logit > 0, nothing, nothing, nothing, np.empty(0, np.bool_))


def by_pack(pack: PackName, faces: ReadFaces, readings: Path) -> Answered:
    """The answers of `pack` with heads and calibrations fitted to the other half of the people."""
    parts = []
    for half in (0, 1):
        there = faces.where(faces.half == half)
        text = half_calibration(readings, pack, 1 - half).read_text(encoding="utf-8")
        calibration = Calibration.model_validate_json(text)
        read = unseen(pack, there, half, readings)
        rows = zip(*read, there.quality, there.turn, strict=True)
        answers = [calibration.classify(*(float(value) for value in row)) for row in rows]
        parts.append(
            Answered(
                there,
                np.array([one.age_years for one in answers]),
                np.array([one.male_probability >= 0.5 for one in answers]),
                np.array([one.interval_years[0] for one in answers]),
                np.array([one.interval_years[1] for one in answers]),
                np.array([one.gender_confidence for one in answers]),
                np.array([one.gender != "unknown" for one in answers]),
            )
        )
    one, other = parts
    joined = ReadFaces(
        **{name: np.concatenate([value, vars(other.faces)[name]]) for name, value in vars(one.faces).items()}
    )
    rest = {
        name: np.concatenate([value, vars(other)[name]])
        for name, value in vars(one).items()
        if name != "faces"
    }
    return Answered(joined, **rest)


def main_table(title: str, ways: Mapping[str, Answered]) -> Table:
    """One row for each way, with what matters most."""
    table = Table(title=f"{title}: {len(next(iter(ways.values())).age_years)} faces")
    columns = ("age off", "gender", "from 10", "women from 10", "holds", "width", "named", "right")
    for name in ("", *columns, "adults under 18", "children over 18", "bias 20 30 40 50"):
        table.add_column(name, justify="right" if name else "left")
    for name, way in ways.items():
        table.add_row(name, *_figures(way))
    return table


def group_table(title: str, way: Answered) -> Table:
    """How intervals and genders hold in each group of people."""
    table = Table(title=title)
    for name in ("", "faces", "age off", "bias", "holds", "width", "named", "stated", "right"):
        table.add_column(name, justify="right" if name else "left")
    for name, there in groups(way):
        if there.sum() < 10:
            continue
        part = way.where(there)
        named = part.named
        right = (part.male == part.faces.male)[named]
        table.add_row(
            name,
            str(there.sum()),
            f"{np.abs(part.faces.off_years(part.age_years)).mean():.1f}",
            f"{np.mean(part.age_years - part.middle_years):+.1f}",
            f"{part.holds.mean():.0%}",
            f"{np.mean(part.to_years - part.from_years):.1f}",
            f"{named.mean():.0%}",
            f"{part.confidence[named].mean():.1%}" if named.any() else "",
            f"{right.mean():.1%}" if named.any() else "",
        )
    return table


def groups(way: Answered) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """The groups that promises are made for."""
    faces = way.faces
    for low, end in ((0, 10), (10, 20), (20, 30), (30, 40), (40, 50), (50, 60), (60, 70), (70, 200)):
        yield f"true age {low} to {end}", (faces.low_years >= low) & (faces.low_years < end)
    for low, end in ((0, 10), (10, 20), (20, 30), (30, 40), (40, 50), (50, 60), (60, 70), (70, 200)):
        yield f"age read {low} to {end}", (way.age_years >= low) & (way.age_years < end)
    yield "women", ~faces.male
    yield "men", faces.male
    yield "boys under 10", faces.male & (faces.low_years < _CHILD_YEARS)
    yield "girls under 10", ~faces.male & (faces.low_years < _CHILD_YEARS)
    yield "women over 60", ~faces.male & (faces.low_years >= 60)
    yield "quality under 0.9", faces.quality < 0.9
    yield "turned by 0.4 and more", faces.turn >= 0.4


def _figures(way: Answered) -> Iterator[str]:
    faces = way.faces
    off = np.abs(faces.off_years(way.age_years))
    if np.all(faces.end_years - faces.low_years <= 1):
        off = np.abs(way.age_years - way.middle_years)
    right = (way.male == faces.male).astype(np.float64)
    grown = faces.low_years >= _CHILD_YEARS
    yield f"{off.mean():.2f} ± {_spread(off):.2f}"
    for there in (np.full(len(off), True), grown, grown & ~faces.male):
        yield f"{right[there].mean():.1%} ± {_spread(right[there]):.1%}"
    if len(way.from_years):
        yield f"{way.holds.mean():.1%}"
        yield f"{np.mean(way.to_years - way.from_years):.1f}"
        yield f"{way.named.mean():.0%}"
        yield f"{right[way.named].mean():.1%}"
    else:
        yield from ("", "", "", "")
    adult, child = faces.low_years >= _ADULT_YEARS, faces.end_years <= _CHILD_YEARS
    yield f"{np.mean(way.age_years[adult] < _GROWN_YEARS):.1%}"
    yield f"{np.mean(way.age_years[child] > _GROWN_YEARS):.1%}"
    middle = way.middle_years
    yield " ".join(
        f"{np.mean((way.age_years - middle)[(middle >= low) & (middle < end)]):+.1f}"
        for low, end in _BIAS_BANDS
    )


def _spread(values: Floats) -> float:
    """Half of the interval of the mean that holds 95 of 100 bootstrap samples."""
    rng = np.random.default_rng(0)
    means = [values[rng.integers(0, len(values), len(values))].mean() for _ in range(_RESAMPLED)]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(high - low) / 2


def chips(dataset: Path) -> NDArray[np.uint8]:
    """The chips of the first faces of a set, to measure the time with."""
    finder = FaceFinder.load()
    labels = load_labels(dataset)[:_TIMED_CHIPS]
    found = [finder.middle_face(read_picture(label.path), label.path) for label in labels]
    return np.stack([decode_picture(one.chip_jpeg) for one in found if isinstance(one, Face)])


def cpu_ms(chips_bgr: NDArray[np.uint8]) -> Mapping[str, float]:
    """The least CPU time a face of each way, over some rounds in which all ways take turns."""
    alone = LiteRT([View(net, mirrored) for net in _NETS_AB for mirrored in (False, True)])
    alone.open()
    ways: dict[str, Callable[[], object]] = {TODAY: lambda: alone.outputs(chips_bgr)}
    for pack in RECIPES:
        nets = litert_nets(pack)
        nets.open()
        ways[pack] = _asked(nets.predict, chips_bgr)
    least = dict.fromkeys(ways, float("inf"))
    for _ in range(_ROUNDS):
        for name, work in ways.items():
            started_s = time.process_time()
            work()
            least[name] = min(least[name], (time.process_time() - started_s) * 1000 / len(chips_bgr))
    return least


def _asked(
    predict: Callable[[NDArray[np.uint8]], object], chips_bgr: NDArray[np.uint8]
) -> Callable[[], object]:
    return lambda: predict(chips_bgr)


if __name__ == "__main__":
    sys.exit(main())
