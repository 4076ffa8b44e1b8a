"""Compare how photos are searched: close-ups, photos that lie on their side, and false finds.

::

    python -m tools.calibration.still_search FACES BACKGROUNDS

FACES is a labelled set as `agegender evaluate` reads it, BACKGROUNDS a folder of pictures without people.
Each picture is searched in both ways in turn: at two sizes as it is, and at three sizes in four directions. A
face counts as found with a score of 0.7. Ages are compared with those of the upright photo.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from agegender.commands.evaluate.classify import read_picture
from agegender.commands.evaluate.dataset import load_labels
from agegender.services.classify.nets import litert_nets
from agegender.services.detect.faces.alignment import cut_chip
from agegender.services.detect.faces.any_way_up import AnyWayUp, turned
from agegender.services.detect.faces.multi_scale import MultiScaleYuNet, without_duplicates
from agegender.services.detect.faces.search import FaceDetector
from agegender.services.detect.faces.yunet import Detection, YuNet
from agegender.services.ingest.sources.kinds import is_picture_file
from agegender.shared.images.pictures import Bgr, UnreadablePicture
from agegender.shared.models import weights

MIN_SCORE = 0.7
BEFORE, NOW = "two sizes, as it is", "three sizes, any way up"
_SIDES_PX = (1_000, 2_000)
_SHARES = (0.9, 1.0)
_BACKGROUND_SIDES_PX = (480, 960, 1_920)
_TURNS = {
    "upright": None,
    "turned by 90°": cv2.ROTATE_90_CLOCKWISE,
    "turned by 180°": cv2.ROTATE_180,
    "turned by 270°": cv2.ROTATE_90_COUNTERCLOCKWISE,
}


class TwoSizes:
    """Searches at 960 and 1920 px and never turns a picture."""

    def __init__(self) -> None:
        self._coarse, self._fine = (YuNet(weights("yunet"), side_px, MIN_SCORE) for side_px in (960, 1_920))

    def detect(self, picture_bgr: Bgr, smallest_face_px: int | None = None) -> Sequence[Detection]:
        """See `FaceDetector`."""
        found = self._coarse.detect(picture_bgr, smallest_face_px)
        if max(picture_bgr.shape[:2]) < 1_440:
            return found
        return without_duplicates([*found, *self._fine.detect(picture_bgr)])


@dataclass
class Counted:
    """What one way made of one kind of picture."""

    pictures: int = 0
    found: int = 0
    """Pictures with a face."""
    finds: int = 0
    cpu_s: float = 0.0
    age_changes_years: list[float] = field(default_factory=list)


def main() -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("faces", type=Path)
    parser.add_argument("backgrounds", type=Path)
    parser.add_argument("--every", type=int, default=7, help="measure every n-th face")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    ways: dict[str, FaceDetector] = {
        BEFORE: TwoSizes(),
        NOW: AnyWayUp(MultiScaleYuNet(weights("yunet"), 960, 1_920, MIN_SCORE)),
    }
    nets = litert_nets()
    nets.open()

    def age_years(picture: Bgr, face: Detection) -> float:
        chips = np.stack([cut_chip(picture, face.landmarks_xy)])
        return float(nets.predict(chips).age_years[0])

    counted: dict[str, dict[str, Counted]] = defaultdict(lambda: {name: Counted() for name in ways})
    upright_years: dict[str, float] = {}
    kinds = (*_people(chosen.faces, chosen.every, ways[BEFORE]), *_backgrounds(chosen.backgrounds))
    for kind, name, picture in kinds:
        for way, detector in ways.items():
            one = counted[kind][way]
            started_s = time.process_time()
            faces = detector.detect(picture)
            one.cpu_s += time.process_time() - started_s
            one.pictures += 1
            one.found += bool(faces)
            one.finds += len(faces)
            if faces and kind in _TURNS:
                years = age_years(picture, max(faces, key=lambda face: face.score))
                one.age_changes_years.append(years - upright_years.setdefault(name, years))
    Console(width=120).print(table(counted))
    return 0


def table(counted: Mapping[str, Mapping[str, Counted]]) -> Table:
    """One row for each kind of picture, with both ways side by side."""
    made = Table(title=f"{BEFORE} · {NOW}")
    for name in ("", "pictures", "with a face", "all finds", "age change, years", "CPU ms a picture"):
        made.add_column(name, justify="right" if name else "left")
    for kind, ways in counted.items():
        both = list(ways.values())
        changes = [np.mean(np.abs(one.age_changes_years)) if one.age_changes_years else None for one in both]
        made.add_row(
            kind,
            f"{both[0].pictures}",
            " · ".join(f"{one.found}" for one in both),
            " · ".join(f"{one.finds}" for one in both),
            "" if kind not in _TURNS else " · ".join("-" if one is None else f"{one:.1f}" for one in changes),
            " · ".join(f"{one.cpu_s * 1000 / one.pictures:.0f}" for one in both),
        )
    return made


def _people(dataset: Path, every: int, detector: FaceDetector) -> Iterator[tuple[str, str, Bgr]]:
    """Kind, name and picture: each face in four directions, and close-ups of it."""
    for label in load_labels(dataset)[::every]:
        picture = read_picture(label.path)
        if isinstance(picture, UnreadablePicture):
            continue
        for kind, turn in _TURNS.items():
            yield kind, label.name, picture if turn is None else turned(picture, turn)
        faces = detector.detect(picture)
        if faces:
            for share in _SHARES:
                for side_px in _SIDES_PX:
                    kind = f"close-up, {share:.0%} of {side_px} px"
                    yield kind, label.name, _close_up(picture, faces[0], share, side_px)


def _close_up(picture_bgr: Bgr, face: Detection, share: float, side_px: int) -> Bgr:
    """A square with the face, which has this share of its height, enlarged to `side_px`."""
    left, top, right, bottom = face.box_xyxy
    half_px = (bottom - top) / share / 2
    middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
    rows = slice(max(0, round(middle_y - half_px)), round(middle_y + half_px))
    columns = slice(max(0, round(middle_x - half_px)), round(middle_x + half_px))
    return np.asarray(cv2.resize(picture_bgr[rows, columns], (side_px, side_px)), np.uint8)


def _backgrounds(folder: Path) -> Iterator[tuple[str, str, Bgr]]:
    """Kind, name and picture: each background in three sizes."""
    for path in sorted(filter(is_picture_file, folder.rglob("*"))):
        picture = read_picture(path)
        if isinstance(picture, UnreadablePicture):
            continue
        for side_px in _BACKGROUND_SIDES_PX:
            scale = side_px / max(picture.shape[:2])
            scaled = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            yield f"no people, {side_px} px", path.name, np.asarray(scaled, np.uint8)


if __name__ == "__main__":
    sys.exit(main())
