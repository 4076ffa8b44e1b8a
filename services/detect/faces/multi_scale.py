"""Multi-scale detection: finds small faces in large pictures, and faces that fill the picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agegender.services.detect.faces.yunet import Detection, YuNet
from agegender.shared.images.pictures import Bgr
from agegender.shared.messages.pipeline import BoxXyxy

COARSER_SIDE_PX = 480
"""At this size a face that fills the picture is as high as YuNet finds it well."""

LARGE_FACE_PX = 400
"""Up to this height, in pixels of the searched picture, YuNet finds nearly all faces."""

_COARSE_FROM, _FINE_FROM = 1.25, 1.5
_SAME_SHARE = 0.3  # as YuNet's own non-maximum suppression
_PART_SHARE = 0.8


class MultiScaleYuNet:
    """Searches pictures at up to three sizes, and gives each face once. Serves one thread at a time.

    A picture that is shrunk a lot loses its small faces. A picture that is shrunk less loses its large ones:
    YuNet misses more and more faces above 500 px of the searched size, and takes parts of them for faces. So
    the coarser search, at COARSER_SIDE_PX, adds only the large faces: small ones of it would be false finds.

    Args:
        weights: the file of LiteRT.
        longer_side_px: of the middle search.
        finer_side_px: of the finer search. Pictures less than 1.5 times as large as the middle search skip
            it, because it would find hardly anything more.
        min_score: detections with a lower score are left out.
    """

    def __init__(self, weights: Path, longer_side_px: int, finer_side_px: int, min_score: float) -> None:
        self._longer_side_px = longer_side_px
        self._coarse = YuNet(weights, COARSER_SIDE_PX, min_score)
        self._middle = YuNet(weights, longer_side_px, min_score)
        self._fine = YuNet(weights, finer_side_px, min_score)

    def detect(self, picture_bgr: Bgr, smallest_face_px: int | None = None) -> Sequence[Detection]:
        """The faces of the picture, from left to right; empty when there is none.

        Args:
            smallest_face_px: see `YuNet.detect`. With it, the picture is searched once.
        """
        if smallest_face_px is not None:
            return self._middle.detect(picture_bgr, smallest_face_px)
        found = self.detect_larger(picture_bgr)
        if max(picture_bgr.shape[:2]) < _FINE_FROM * self._longer_side_px:
            return found
        return without_duplicates([*found, *self._fine.detect(picture_bgr)])

    def detect_larger(self, picture_bgr: Bgr) -> Sequence[Detection]:
        """The same without the finer search, which takes most of the time."""
        found = self._middle.detect(picture_bgr)
        picture_px = max(picture_bgr.shape[:2])
        searched_px = min(picture_px, self._longer_side_px)
        if searched_px < _COARSE_FROM * COARSER_SIDE_PX:
            return found
        large_px = LARGE_FACE_PX * picture_px / searched_px
        large = [one for one in self._coarse.detect(picture_bgr) if _height_px(one) >= large_px]
        return without_duplicates([*found, *large])


def _height_px(face: Detection) -> float:
    return face.box_xyxy[3] - face.box_xyxy[1]


def without_duplicates(found: Sequence[Detection]) -> Sequence[Detection]:
    """The detections from left to right, without those that overlap, or are a part of, a better one."""
    kept: list[Detection] = []
    for one in sorted(found, key=lambda one: -one.score):
        if not any(_is_duplicate(one.box_xyxy, other.box_xyxy) for other in kept):
            kept.append(one)
    return sorted(kept, key=lambda one: one.box_xyxy[:2])


def _is_duplicate(box_xyxy: BoxXyxy, better_xyxy: BoxXyxy) -> bool:
    left, top = (max(a, b) for a, b in zip(box_xyxy[:2], better_xyxy[:2], strict=True))
    right, bottom = (min(a, b) for a, b in zip(box_xyxy[2:], better_xyxy[2:], strict=True))
    common = max(0.0, right - left) * max(0.0, bottom - top)
    area, better_area = _area(box_xyxy), _area(better_xyxy)
    return common >= _SAME_SHARE * (area + better_area - common) or common >= _PART_SHARE * area


def _area(box_xyxy: BoxXyxy) -> float:
    left, top, right, bottom = box_xyxy
    return (right - left) * (bottom - top)
