"""How the errors of the default pack grow as faces become smaller, blurred, turned or doubtful.

    python -m tools.calibration.copy_errors DATASET

DATASET is labelled as `agegender evaluate` reads it. The stages of the pipeline classify each face as it is,
and as smaller and blurred copies, which labelled pictures seldom show. The limits of the quality of a face
rest on these figures; `docs/models.md` has them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agegender.commands.evaluate.classify import FaceFinder
from agegender.commands.evaluate.dataset import Label, load_labels
from agegender.services.classify.nets import litert_nets
from agegender.shared.images.pictures import Bgr, decode_picture
from agegender.shared.images.pose import turn
from agegender.shared.images.quality import UNUSABLE, height_px
from tools.calibration.copies import Copy, copies
from tools.calibration.labelled_faces import Floats, LabelledFaces, known

COPIES: tuple[Copy, ...] = (
    Copy(None, 0.0),
    *(Copy(height, 0.0) for height in (16, 20, 24, 28, 32, 40, 48, 64, 80, 96, 128)),
    *(Copy(height, blur) for height in (64, 128) for blur in (0.005, 0.01, 0.015, 0.02, 0.025, 0.03, 0.04)),
)
_NOT_BLURRED = [number for number, copy in enumerate(COPIES) if copy.blur == 0]
_LARGE_FACE_PX = 60.0
_QUALITIES = (0.5, 0.8, 1.01)
_TURNS = (0.0, 0.4, 0.8, 10.0)
_SCORES = (0.7, 0.86, 0.88, 0.9, 0.92, 0.94, 1.01)


@dataclass(frozen=True)
class ReadCopies(LabelledFaces):
    """Faces with what the nets read, (N,) each; the person is the picture that they are copies of."""

    copy: NDArray[np.int64]
    """The number of the copy in COPIES."""
    height_px: Floats
    score: Floats
    """The detector's."""
    turn: Floats
    """See `agegender.shared.images.pose.turn`."""
    quality: Floats
    age_years: Floats
    male_logit: Floats


def main() -> int:
    """Measure and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", type=Path)
    labels = load_labels(parser.parse_args().dataset)
    faces = measure(labels)
    for line in chain(by_copy(faces, len(labels)), by_score(faces), by_turn(faces)):
        _say(line)
    return 0


def measure(labels: Sequence[Label]) -> ReadCopies:
    """What the nets read from each face and its copies, those included that are not worth classifying."""
    finder, nets = FaceFinder.load(), litert_nets()
    nets.open()
    people: list[tuple[int, Label]] = []
    rows: list[tuple[float, ...]] = []
    chips: list[Bgr] = []
    for person, label in enumerate(labels):
        if label.gender is None:
            continue
        for number, copy in copies(finder, label, COPIES):
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
    numbers, heights_px, scores, turns, qualities = np.array(rows, np.float64).T
    age_years, male_logit, _ = nets.predict(np.stack(chips))
    return ReadCopies(
        **vars(known(people)),
        copy=numbers.astype(np.int64),
        height_px=heights_px,
        score=scores,
        turn=turns,
        quality=qualities,
        age_years=np.clip(age_years.astype(np.float64), 0, None),
        male_logit=male_logit.astype(np.float64),
    )


def by_copy(faces: ReadCopies, pictures: int) -> Iterator[str]:
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


def by_score(faces: ReadCopies) -> Iterator[str]:
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


def by_turn(faces: ReadCopies) -> Iterator[str]:
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


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
