"""Measures how reliable the answers of the nets are, and stores it as `shared/models/calibration.json`.

    python -m tools.calibration.calibrate DATASET                          tests it on people left out
    python -m tools.calibration.calibrate DATASET --write --rest REST.csv  stores it, lists those left out

DATASET is labelled as `agegender evaluate` reads it. The stages of the pipeline classify each face as it
is, and as smaller and blurred copies. So the calibration covers the qualities of faces on a street, which
labelled pictures seldom have. It is fitted to every other person of each age and gender. The rest are for
`agegender evaluate REST.csv`. The copies of one person always stay together.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import chain, pairwise, product
from pathlib import Path

import cv2
import numpy as np

from agegender.commands.evaluate.classify import FaceFinder, read_picture
from agegender.commands.evaluate.dataset import Label, labels_file, load_labels
from agegender.services.classify.calibration import Calibration, CalibrationSource, CalibrationTables
from agegender.services.classify.flip_augmentation import predict
from agegender.services.classify.nets import LiteRTNets
from agegender.services.detect.faces.pose import turn
from agegender.shared.images.pictures import Bgr, UnreadablePicture, decode_picture
from agegender.shared.images.quality import UNUSABLE, height_px
from agegender.shared.models import FOLDER, load_manifest
from tools.calibration.check import held_out, honest_tail
from tools.calibration.fit import (
    AGE_KNOTS_YEARS,
    QUALITY_KNOTS,
    UNKNOWN_BELOW,
    Readings,
    fit,
)
from tools.calibration.labelled_faces import HALVES, known

FILE = FOLDER / "calibration.json"

# Face heights in pixels, None as it is, and blurs as shares of the face's height.
COPIES: tuple[tuple[float | None, float], ...] = (
    (None, 0.0),
    *((height, 0.0) for height in (16, 20, 24, 28, 32, 40, 48, 64, 80, 96, 128)),
    *((height, blur) for height in (64, 128) for blur in (0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04)),
)
_NOT_BLURRED = [number for number, (_, blur) in enumerate(COPIES) if blur == 0]
_SMALLEST_PICTURE_PX = 320
_LARGE_FACE_PX = 60.0
_WITH = {False: "without", True: "with"}
_QUALITIES = (0.5, 0.8, 1.01)
_TURNS = (0.0, 0.4, 0.8, 10.0)
_SCORES = (0.7, 0.86, 0.88, 0.9, 0.92, 0.94, 1.01)


def main() -> int:
    """Measure, report, and store where told to."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--write", action="store_true", help=f"store {FILE.name} and its sum")
    parser.add_argument("--rest", type=Path, help="where to list the people that nothing is fitted to")
    chosen = parser.parse_args()
    labels = sorted(load_labels(chosen.dataset), key=lambda one: (one.low_years, str(one.gender), one.path))
    if chosen.rest is not None:
        _list(labels[1::2], chosen.rest)
    fitted: dict[bool, Readings] = {}
    tables: dict[bool, CalibrationTables] = {}
    readings = measure(labels)
    for line in chain(
        by_copy(readings[True], len(labels)), by_score(readings[True]), by_turn(readings[True])
    ):
        _say(line)
    for flip_augmentation, everything in readings.items():
        faces = everything.where(everything.quality > UNUSABLE)
        _say(f"\n{_WITH[flip_augmentation]} flip augmentation, on the other half of {HALVES} random ones")
        for line in held_out(faces):
            _say(line)
        fitted[flip_augmentation] = faces.where(faces.person % 2 == 0)
        tables[flip_augmentation] = fit(fitted[flip_augmentation], honest_tail(fitted[flip_augmentation]))
    if chosen.write:
        _write(_calibration(chosen.dataset, fitted[True], tables))
    return 0


def _list(labels: Sequence[Label], table: Path) -> None:
    with table.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("file", "age_low", "age_high", "gender"))
        for label in labels:
            last = "" if label.end_years is None else f"{label.end_years - 1:g}"
            rows.writerow((label.path.resolve(), f"{label.low_years:g}", last, label.gender or ""))


def measure(labels: Sequence[Label]) -> dict[bool, Readings]:
    """What the nets read from each face and its copies, those included that are not worth classifying."""
    finder, nets = FaceFinder.load(), LiteRTNets()
    nets.open()
    people: list[tuple[int, Label]] = []
    rows: list[tuple[float, ...]] = []
    chips: list[Bgr] = []
    for person, label in enumerate(labels):
        if label.gender is None:
            continue
        for number, copy in _copies(finder, label):
            face = finder.middle_face(copy, label.path)
            if face is None or isinstance(face, str):
                continue
            people.append((person, label))
            info = face.info
            turned = turn(info.landmarks_xy)
            rows.append((number, height_px(info), info.score, turned, info.quality or UNUSABLE))
            chips.append(decode_picture(face.chip_jpeg))
        if person % 30 == 0:
            _say(f"{person} of {len(labels)} pictures, {len(chips)} faces")
    copies, heights_px, scores, turns, qualities = np.array(rows, np.float64).T
    predicted = {flip: predict(nets, np.stack(chips), flip_augmentation=flip) for flip in (False, True)}
    return {
        flip: Readings(
            **vars(known(people)),
            copy=copies.astype(np.int64),
            height_px=heights_px,
            score=scores,
            turn=turns,
            quality=qualities,
            age_years=np.clip(age_years.astype(np.float64), 0, None),
            male_logit=male_logit.astype(np.float64),
        )
        for flip, (age_years, male_logit) in predicted.items()
    }


def by_copy(faces: Readings, pictures: int) -> Iterator[str]:
    """Lines that say how the errors grow as the copies become smaller and more blurred."""
    errors = np.abs(faces.off_years(faces.age_years))
    right = (faces.male_logit > 0) == faces.male
    for number, (wanted_px, blur) in enumerate(COPIES):
        there = faces.copy == number
        if there.any():
            size = "as they are" if wanted_px is None else f"{wanted_px:.0f} px high"
            yield (
                f"{size}, blurred over {blur:.1%}: {there.sum() / pictures:.0%} found, age error "
                f"{errors[there].mean():.1f} years, gender right {right[there].mean():.0%}, "
                f"not worth classifying {np.mean(faces.quality[there] <= UNUSABLE):.0%}"
            )


def by_score(faces: Readings) -> Iterator[str]:
    """Lines that say how the errors of large, sharp faces shrink as the detector becomes surer."""
    errors = np.abs(faces.off_years(faces.age_years))
    large = (faces.height_px >= _LARGE_FACE_PX) & np.isin(faces.copy, _NOT_BLURRED)
    for low, end in pairwise(_SCORES):
        there = large & (faces.score >= low) & (faces.score < end)
        if there.any():
            yield (
                f"{_LARGE_FACE_PX:.0f} px or more, score {low} to {min(end, 1)}: {there.sum()} faces of "
                f"{len(np.unique(faces.person[there]))} people, age error {errors[there].mean():.1f} years"
            )


def by_turn(faces: Readings) -> Iterator[str]:
    """Lines that say how the errors of large, sharp faces of fair and of good quality grow as they turn."""
    errors = np.abs(faces.off_years(faces.age_years))
    large = (faces.height_px >= _LARGE_FACE_PX) & np.isin(faces.copy, _NOT_BLURRED)
    for (fair, good), (low, end) in product(pairwise(_QUALITIES), pairwise(_TURNS)):
        there = large & (faces.quality >= fair) & (faces.quality < good)
        there &= (faces.turn >= low) & (faces.turn < end)
        if there.any():
            yield (
                f"{_LARGE_FACE_PX:.0f} px or more, quality {fair} to {min(good, 1)}, turned {low} to {end}: "
                f"{there.sum()} faces of {len(np.unique(faces.person[there]))} people, age error "
                f"{errors[there].mean():.1f} years"
            )


def _copies(finder: FaceFinder, label: Label) -> Iterator[tuple[int, Bgr]]:
    """The picture of `label` as it is, then smaller and blurred; nothing where no face is in it."""
    picture = read_picture(label.path)
    face = finder.middle_face(picture, label.path)
    if isinstance(picture, UnreadablePicture) or face is None or isinstance(face, str):
        return
    found_px = (
        height_px(face.info)
        * max(picture.shape[:2])
        / max(face.info.frame.width_px, face.info.frame.height_px)
    )
    for number, (wanted_px, blur) in enumerate(COPIES):
        if wanted_px is None:
            yield number, picture
        elif wanted_px < found_px:
            yield number, _worse(picture, wanted_px / found_px, blur * wanted_px)


def _worse(picture_bgr: Bgr, scale: float, blur_px: float) -> Bgr:
    """The picture, smaller and blurred, in the middle of a grey one as large as detectors are used to."""
    smaller = cv2.resize(picture_bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if blur_px:
        smaller = cv2.GaussianBlur(smaller, (0, 0), blur_px)
    rows, columns = (max(0, (_SMALLEST_PICTURE_PX - side) // 2) for side in smaller.shape[:2])
    framed = cv2.copyMakeBorder(
        smaller, rows, rows, columns, columns, cv2.BORDER_CONSTANT, value=(110, 110, 110)
    )
    return np.asarray(framed, np.uint8)


def _calibration(dataset: Path, faces: Readings, tables: dict[bool, CalibrationTables]) -> Calibration:
    table = labels_file(dataset)
    return Calibration(
        origin=CalibrationSource(
            tool="tools/calibration/calibrate.py",
            part="every other person of each age and gender",
            dataset=dataset.resolve().name,
            labels_sha256=hashlib.sha256(table.read_bytes()).hexdigest() if table else None,
            faces=int(faces.original.sum()),
            copies=len(faces.original),
        ),
        nets=load_manifest().age_gender,
        age_knots_years=AGE_KNOTS_YEARS,
        quality_knots=QUALITY_KNOTS,
        unknown_below=UNKNOWN_BELOW,
        flip_augmentation=tables,
    )


def _write(calibration: Calibration) -> None:
    """Stores the calibration, and its size and sum in the manifest."""
    content = _json(calibration.model_dump(mode="json"))
    FILE.write_text(content, encoding="utf-8")
    path = FOLDER / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    data = content.encode()
    manifest["calibration"] = {
        "file": FILE.name,
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    path.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    _say(f"stored {FILE.name}, {len(data)} bytes")


def _json(value: object) -> str:
    """JSON with each row of a table on a line of its own."""
    text = json.dumps(value, indent=2)
    rows = re.compile(r"\[\s+(-?[\d.]+(?:,\s+-?[\d.]+)*)\s+\]")
    return rows.sub(lambda row: "[" + re.sub(r",\s+", ", ", row[1]) + "]", text) + "\n"


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
