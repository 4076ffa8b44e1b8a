"""What each step between the plain nets and the pipeline brings, and what was tried and left out.

    python -m tools.compare_accuracy DATASET

All rows see the same landmarks. A row that is tuned is tuned on one half of the people; every row is measured
on the other half, and the figures are means over 20 random halves. Where the landmarks fall depends a little
on how a picture is scaled, and moves every figure by a tenth of a year; so each picture is taken in five
sizes, which all belong to the same half, and the first figure is their mean.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from agegender.evaluation.dataset import Label, load_labels
from agegender.evaluation.judge import read_picture
from services.classify.nets import LiteRTNets
from services.classify.views import Views, predict
from services.detect.alignment import LANDMARK_WEIGHTS, cut_chip
from services.detect.cutting import CHIP_QUALITY
from services.detect.yunet import Detection, YuNet
from shared.faces import CHIP_SIDE_PX
from shared.models import weights
from shared.pictures import Bgr, UnreadablePicture, decode_picture, encode_jpeg

Floats = NDArray[np.float64]
Chips = NDArray[np.uint8]
Chosen = NDArray[np.bool_]

HALVES = 20
SCALES = (1.0, 0.9, 0.8, 0.7, 0.6)
_ALIKE = np.ones(5)
_CROPS = (0.95, 1.0, 1.1)
_AGE_KNOTS_YEARS = np.array([0.0, 10, 20, 35, 50, 60, 70, 80])
_CHILD_YEARS = 10.0
_HOLD_BACK = 0.005


@dataclass(frozen=True)
class Faces:
    """The faces of all pictures in all sizes, with what is true of them; (N,) each but the chips."""

    person: NDArray[np.int64]
    full_size: NDArray[np.bool_]
    low_years: Floats
    end_years: Floats
    male: NDArray[np.bool_]
    plain: Chips
    """Cut with all landmarks counting alike."""
    chips: Chips
    """Cut as the pipeline cuts them."""


@dataclass(frozen=True)
class Row:
    """One way to judge."""

    name: str
    age_years: Floats
    male_logit: Floats
    ms: float
    """CPU time a face."""
    tune: Callable[[Floats, Floats, Faces, NDArray[np.bool_]], tuple[Floats, Floats]] | None = None
    """Age and logit of all, changed by what those chosen teach."""


def main() -> int:
    """Measure and print the table."""
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("dataset", type=Path)
    cv2.setNumThreads(1)
    faces = found(load_labels(parser.parse_args().dataset))
    table = Table(title=f"{len(np.unique(faces.person))} people, {len(faces.male)} pictures of them")
    for name in ("", "age error", "full size", "gender right", "from 10", "ms a face", "ratio"):
        table.add_column(name, justify="right" if name else "left")
    ways = rows(faces)
    for row in ways:
        error_years, full_years, right, grown_right = measured(row, faces)
        table.add_row(
            row.name,
            f"{error_years:.2f} years",
            f"{full_years:.2f} years",
            f"{right:.1%}",
            f"{grown_right:.1%}",
            f"{row.ms:.2f}",
            f"{row.ms / ways[0].ms:.2f}",
        )
    Console(width=120).print(table)
    return 0


def found(labels: Sequence[Label]) -> Faces:
    """The faces nearest to the middle of all pictures, in all sizes."""
    detector = YuNet(weights("yunet"))
    known: list[tuple[float, ...]] = []
    cut: list[tuple[Bgr, Bgr]] = []
    for person, label in enumerate(labels):
        picture = read_picture(label.path)
        if isinstance(picture, UnreadablePicture) or label.gender is None:
            continue
        for scale in SCALES:
            scaled = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            face = _middle_face(detector, np.asarray(scaled, np.uint8))
            if face is not None:
                end_years = np.inf if label.end_years is None else label.end_years
                known.append((person, scale, label.low_years, end_years, label.gender == "male"))
                cut.append((_chip(scaled, face, _ALIKE), _chip(scaled, face, LANDMARK_WEIGHTS)))
    people, scales, low_years, ends_years, male = np.array(known, np.float64).T
    plain, chips = (np.stack(one) for one in zip(*cut, strict=True))
    return Faces(people.astype(np.int64), scales == 1, low_years, ends_years, male > 0, plain, chips)


def _middle_face(detector: YuNet, picture_bgr: Bgr) -> Detection | None:
    middle_xy = np.array(picture_bgr.shape[1::-1]) / 2

    def from_middle_px(face: Detection) -> float:
        return float(np.hypot(*(np.reshape(face.box_xyxy, (2, 2)).mean(axis=0) - middle_xy)))

    return min(detector.detect(picture_bgr), key=from_middle_px, default=None)


def _chip(picture_bgr: MatLike, face: Detection, landmark_weights: Floats) -> Bgr:
    chip_bgr = cut_chip(np.asarray(picture_bgr, np.uint8), face.landmarks_xy, landmark_weights)
    return decode_picture(encode_jpeg(chip_bgr, CHIP_QUALITY))


def rows(faces: Faces) -> Sequence[Row]:
    """Each way to judge, the plain one first and the one of the pipeline third."""
    nets = LiteRTNets()
    nets.open()
    nets.predict(faces.plain[:32])  # the first calls are slower
    plain = _read(nets, [faces.plain], 1)
    mirrored = _read(nets, [faces.plain], 2)
    ours = _read(nets, [faces.chips], 2)
    single = _read(nets, [faces.chips], 1)
    crops = _read(nets, [faces.chips, *(_recut(faces.chips, scale) for scale in _CROPS)], 2)
    nets.close()
    return [
        Row("nets A and B, plain", *plain),
        Row("+ mirrored", *mirrored),
        Row("+ the nose weighs a quarter: the pipeline", *ours),
        Row("the pipeline with one view", *single),
        Row("tried: + crops of three other sizes", *crops),
        Row("tried: + the age, bent to the labels", *ours, tune=_bend_age),
        Row("tried: + a bias between the genders", *ours, tune=_shift_gender),
    ]


def _read(nets: LiteRTNets, crops: Sequence[Chips], views: Views) -> tuple[Floats, Floats, float]:
    """Age and logit, (N,) each: the mean over the crops and their views; and the CPU time a face."""
    started_s = time.process_time()
    read = np.mean([predict(nets, chips, views) for chips in crops], axis=0).astype(np.float64)
    spent_s = time.process_time() - started_s
    return np.clip(read[0], 0, None), read[1], spent_s * 1000 / len(crops[0])


def _recut(chips: Chips, scale: float) -> Chips:
    """The chips as they would be if a face filled 1 / `scale` of its place."""
    middle = (CHIP_SIDE_PX - 1) / 2
    zoom = cv2.getRotationMatrix2D((middle, middle), 0, 1 / scale)
    size_wh = (CHIP_SIDE_PX, CHIP_SIDE_PX)
    how = cv2.BORDER_REPLICATE
    return np.stack([cv2.warpAffine(chip, zoom, size_wh, borderMode=how) for chip in chips]).astype(np.uint8)


def _bend_age(age_years: Floats, logit: Floats, faces: Faces, first: Chosen) -> tuple[Floats, Floats]:
    """The age plus a piecewise linear change that brings it nearer to the labels, held back towards none."""
    knots = np.eye(len(_AGE_KNOTS_YEARS))
    shares = np.stack([np.interp(age_years, _AGE_KNOTS_YEARS, row) for row in knots], axis=1)
    known = shares[first]
    change_years = np.zeros(len(_AGE_KNOTS_YEARS))
    for step in range(500):
        off_years = _off_years(age_years[first] + known @ change_years, faces, first)
        slope = known.T @ np.clip(off_years, -1, 1) / len(known) + _HOLD_BACK * change_years
        change_years -= 5 * slope / (1 + step / 100)
    return age_years + shares @ change_years, logit


def _shift_gender(age_years: Floats, logit: Floats, faces: Faces, first: Chosen) -> tuple[Floats, Floats]:
    """The logit less the bias under which most genders are right."""
    biases = np.linspace(-3, 3, 61)
    right = [np.mean((logit[first] > bias) == faces.male[first]) for bias in biases]
    return age_years, logit - biases[int(np.argmax(right))]


def measured(row: Row, faces: Faces) -> tuple[float, float, float, float]:
    """Age error of all sizes and of the full one, share of genders right of all and of those 10 and over."""
    people = np.unique(faces.person)
    figures = []
    for seed in range(HALVES):
        first = np.isin(faces.person, np.random.default_rng(seed).permutation(people)[: len(people) // 2])
        age_years, logit = row.age_years, row.male_logit
        if row.tune is not None:
            age_years, logit = row.tune(age_years, logit, faces, first)
        errors_years = np.abs(_off_years(age_years, faces, np.full(len(first), True)))
        right = (logit > 0) == faces.male
        grown = faces.low_years >= _CHILD_YEARS
        figures.append(
            (
                errors_years[~first].mean(),
                errors_years[~first & faces.full_size].mean(),
                right[~first].mean(),
                right[~first & grown].mean(),
            )
        )
    error_years, full_years, all_right, grown_right = np.mean(figures, axis=0)
    return float(error_years), float(full_years), float(all_right), float(grown_right)


def _off_years(age_years: Floats, faces: Faces, chosen: Chosen) -> Floats:
    """How far the ages lie above the spans of the labels, or below them as negative numbers; 0 inside."""
    above_years = np.clip(age_years - faces.end_years[chosen], 0, None)
    return above_years - np.clip(faces.low_years[chosen] - age_years, 0, None)


if __name__ == "__main__":
    sys.exit(main())
