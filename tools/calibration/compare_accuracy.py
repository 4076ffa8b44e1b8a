"""What mirror images and the alignment bring to nets A and B, and what was tried with them and left out.

    python -m tools.calibration.compare_accuracy DATASET

All rows see the same landmarks. A row that chooses or tunes something does so on one half of the people;
every row is measured on the other half, and the figures are means over 20 random halves. Where the landmarks
fall depends a little on how a picture is scaled, and moves every figure by a tenth of a year; so each picture
is taken in five sizes, which all belong to the same half, and the first figure is their mean.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from agegender.commands.evaluate.dataset import load_labels
from agegender.commands.evaluate.groups import CHILD_YEARS
from agegender.services.classify.nets import NET_A, NET_B, LiteRT, View
from agegender.services.detect.faces.alignment import LANDMARK_WEIGHTS
from agegender.shared.images.faces import CHIP_SIDE_PX
from agegender.shared.images.pictures import Bgr, decode_picture
from tools.calibration.labelled_faces import HALVES, Chosen, Floats, halves
from tools.calibration.sized_faces import ChipJpegs, SizedFaces, cut_faces

NOSE_WEIGHTS = (0.0, 0.25, 0.5, 1.0)
_PLAIN = 1.0
_OURS = float(LANDMARK_WEIGHTS[2])
_ONLY = "the only one"
_BATCH_FACES = 64
_SEEN_PX = 112  # of the chip, by net A
_AGE_KNOTS_YEARS = np.array([0.0, 10, 20, 35, 50, 60, 70, 80])
_SHIFTS = ((0.03, 0.0), (-0.03, 0.0), (0.0, 0.03), (0.0, -0.03))
_HOLD_BACK = 0.005


@dataclass(frozen=True)
class Read:
    """What the nets read from all faces, (N,) each."""

    age_years: Floats
    male_logit: Floats
    ms: float
    """CPU time a face."""


@dataclass(frozen=True)
class Row:
    """One way to classify."""

    name: str
    candidates: Mapping[str, Read]
    """By what tells them apart: the first half chooses the one with the least age error."""
    tune: Callable[[Read, SizedFaces, Chosen], tuple[Floats, Floats]] | None = None
    """Age and logit of all, changed by what those of the first half teach."""


@dataclass(frozen=True)
class Figures:
    """How good a row is: means over the other halves."""

    error_years: float
    full_size_error_years: float
    right: float
    """Share of the genders, 0 to 1."""
    grown_right: float
    """The same from CHILD_YEARS on."""
    chosen: Mapping[str, int]
    """How many of the halves chose each candidate."""
    ms: float
    """CPU time a face."""


def main() -> int:
    """Measure and print the table."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("dataset", type=Path)
    cv2.setNumThreads(1)
    faces, chips = cut_faces(load_labels(parser.parse_args().dataset), NOSE_WEIGHTS)
    table = Table(title=f"{len(np.unique(faces.person))} people, {len(faces.male)} pictures of them")
    for name in ("", "age error", "full size", "gender right", "from 10", "ms a face", "ratio"):
        table.add_column(name, justify="right" if name else "left")
    measures = {row.name: measured(row, faces) for row in rows(chips)}
    plain, *_ = measures.values()
    for name, figures in measures.items():
        table.add_row(
            name,
            f"{figures.error_years:.2f} years",
            f"{figures.full_size_error_years:.2f} years",
            f"{figures.right:.1%}",
            f"{figures.grown_right:.1%}",
            f"{figures.ms:.2f}",
            f"{figures.ms / plain.ms:.2f}",
        )
    console = Console(width=120)
    console.print(table)
    for name, figures in measures.items():
        if set(figures.chosen) != {_ONLY}:
            times = ", ".join(f"{one} by {count}" for one, count in sorted(figures.chosen.items()))
            console.print(f"{name}: of {HALVES} halves, {times}")
    return 0


def rows(chips: Mapping[float, ChipJpegs]) -> Sequence[Row]:
    """Each way to classify, the plain one first."""
    nets = {flip: _nets_ab(flip=flip) for flip in (False, True)}
    _read(nets[True], chips[_PLAIN][:32])  # the first calls are slower
    read = {(nose, flip): _read(nets[flip], jpegs) for nose, jpegs in chips.items() for flip in nets}
    ours = read[_OURS, True]
    noses = {f"nose {nose:g}": read[nose, True] for nose in chips}
    both = {f"nose {nose:g} and flip {flip}": one for (nose, flip), one in read.items()}
    crops = _crops().items()
    return [
        Row("nets A and B, plain", {_ONLY: read[_PLAIN, False]}),
        Row("+ mirrored", {_ONLY: read[_PLAIN, True]}),
        Row(f"+ the nose weighs {_OURS:g}", {_ONLY: ours}),
        Row("the nose's weight chosen on the other half", noses),
        Row("the weight and the flip chosen there", both),
        Row("the same, not mirrored", {_ONLY: read[_OURS, False]}),
        *(Row(f"tried: + {name}", {_ONLY: _read(nets[True], chips[_OURS], warps)}) for name, warps in crops),
        Row("tried: + the age, bent to the labels", {_ONLY: ours}, tune=_bend_age),
        Row("tried: + a bias between the genders", {_ONLY: ours}, tune=_shift_gender),
    ]


def _nets_ab(*, flip: bool) -> LiteRT:
    nets = LiteRT([View(net, mirrored) for net in (NET_A, NET_B) for mirrored in (False, True)[: 1 + flip]])
    nets.open()
    return nets


def _answers(nets: LiteRT, chips_bgr: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Net A's age and the sum of both logits, means over the views."""
    outputs = nets.outputs(chips_bgr)
    views = len(outputs) // 2
    a, b = np.mean(outputs[:views], axis=0), np.mean(outputs[views:], axis=0)
    return a[:, 0], a[:, 1] - a[:, 2] + b[:, 1] - b[:, 0]


def _warp(*, scale: float = 1.0, turn_deg: float = 0.0, right: float = 0.0, down: float = 0.0) -> Floats:
    """Moves a face within its chip, (2, 3): turned, larger, and shifted by shares of what net A sees."""
    middle = (CHIP_SIDE_PX - 1) / 2
    warp = cv2.getRotationMatrix2D((middle, middle), turn_deg, scale)
    warp[:, 2] += np.array([right, down]) * _SEEN_PX
    return np.asarray(warp, np.float64)


def _crops() -> Mapping[str, Sequence[Floats]]:
    """Sets of crops to take the mean over, the face as it is among each."""
    as_it_is = _warp()
    return {
        "crops of three other sizes": [as_it_is, *(_warp(scale=1 / size) for size in (0.95, 1.05, 1.1))],
        "crops shifted by 3 %": [as_it_is, *(_warp(right=x, down=y) for x, y in _SHIFTS)],
        "crops turned by 6°": [as_it_is, _warp(turn_deg=6), _warp(turn_deg=-6)],
    }


def _read(nets: LiteRT, jpegs: ChipJpegs, warps: Sequence[Floats] = ()) -> Read:
    """The mean over the chips, or over all of `warps` of them."""
    ages, logits = [], []
    spent_s = 0.0
    for begin in range(0, len(jpegs), _BATCH_FACES):
        chips = [decode_picture(jpeg) for jpeg in jpegs[begin : begin + _BATCH_FACES]]
        crops = [np.stack([_moved(chip, warp) for chip in chips]) for warp in warps] or [np.stack(chips)]
        started_s = time.process_time()
        age_years, male_logit = np.mean([_answers(nets, crop) for crop in crops], axis=0)
        spent_s += time.process_time() - started_s
        ages.append(age_years)
        logits.append(male_logit)
    age_years, male_logit = np.concatenate(ages), np.concatenate(logits)
    return Read(np.clip(age_years, 0, None), male_logit, spent_s * 1000 / len(jpegs))


def _moved(chip_bgr: Bgr, warp: Floats) -> NDArray[np.uint8]:
    size_wh = (CHIP_SIDE_PX, CHIP_SIDE_PX)
    return np.asarray(cv2.warpAffine(chip_bgr, warp, size_wh, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _bend_age(read: Read, faces: SizedFaces, first: Chosen) -> tuple[Floats, Floats]:
    """The age plus a piecewise linear change that brings it nearer to the labels, held back towards none."""
    hats = np.eye(len(_AGE_KNOTS_YEARS))
    shares = np.stack([np.interp(read.age_years, _AGE_KNOTS_YEARS, hat) for hat in hats], axis=1)
    known, of_first = faces.where(first), shares[first]
    change_years = np.zeros(len(_AGE_KNOTS_YEARS))
    for step in range(500):
        off_years = known.off_years(read.age_years[first] + of_first @ change_years)
        slope = of_first.T @ np.clip(off_years, -1, 1) / len(of_first) + _HOLD_BACK * change_years
        change_years -= 5 * slope / (1 + step / 100)
    return read.age_years + shares @ change_years, read.male_logit


def _shift_gender(read: Read, faces: SizedFaces, first: Chosen) -> tuple[Floats, Floats]:
    """The logit less the bias under which most genders are right."""
    biases = np.linspace(-3, 3, 61)
    right = [np.mean((read.male_logit[first] > bias) == faces.male[first]) for bias in biases]
    return read.age_years, read.male_logit - biases[int(np.argmax(right))]


def measured(row: Row, faces: SizedFaces) -> Figures:
    """The figures of the halves that nothing was chosen by."""
    chosen: Counter[str] = Counter()
    figures = []
    grown = faces.low_years >= CHILD_YEARS
    for first in halves(faces.person):
        name = min(row.candidates, key=lambda one: _error(row.candidates[one], faces, first))
        chosen[name] += 1
        read = row.candidates[name]
        age_years, logit = read.age_years, read.male_logit
        if row.tune is not None:
            age_years, logit = row.tune(read, faces, first)
        errors_years = np.abs(faces.off_years(age_years))
        right = (logit > 0) == faces.male
        figures.append(
            (
                errors_years[~first].mean(),
                errors_years[~first & faces.full_size].mean(),
                right[~first].mean(),
                right[~first & grown].mean(),
                read.ms,
            )
        )
    error_years, full_size_years, all_right, grown_right, ms = (
        float(mean) for mean in np.mean(figures, axis=0)
    )
    return Figures(error_years, full_size_years, all_right, grown_right, chosen, ms)


def _error(read: Read, faces: SizedFaces, chosen: Chosen) -> float:
    return float(np.abs(faces.off_years(read.age_years))[chosen].mean())


if __name__ == "__main__":
    sys.exit(main())
