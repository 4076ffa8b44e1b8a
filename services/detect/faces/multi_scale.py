"""Multi-scale detection: finds small faces in large pictures without losing the large ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agegender.services.detect.faces.yunet import Detection, YuNet
from agegender.shared.images.pictures import Bgr
from agegender.shared.messages.pipeline import BoxXyxy

_FINE_FROM = 1.5
_SAME_SHARE = 0.3  # as YuNet's own non-maximum suppression
_PART_SHARE = 0.8


class MultiScaleYuNet:
    """Searches large pictures at two sizes, and gives each face once. Serves one thread at a time.

    A picture that is shrunk a lot loses its small faces. A picture that is shrunk less loses its large ones:
    YuNet misses more and more faces above 500 px of the searched size, and takes parts of them for faces.

    Args:
        weights: the ONNX file.
        longer_side_px: of the first search.
        finer_side_px: of the second search. Pictures less than 1.5 times as large as the first search skip
            it, because it would find hardly anything more.
        min_score: detections with a lower score are left out.
    """

    def __init__(self, weights: Path, longer_side_px: int, finer_side_px: int, min_score: float) -> None:
        self._fine_from_px = _FINE_FROM * longer_side_px
        self._coarse = YuNet(weights, longer_side_px, min_score)
        self._fine = YuNet(weights, finer_side_px, min_score)

    def detect(self, picture_bgr: Bgr, smallest_face_px: int | None = None) -> Sequence[Detection]:
        """The faces of the picture, from left to right; empty when there is none.

        Args:
            smallest_face_px: see `YuNet.detect`. With it, the picture is searched once.
        """
        found = self._coarse.detect(picture_bgr, smallest_face_px)
        if smallest_face_px is not None or max(picture_bgr.shape[:2]) < self._fine_from_px:
            return found
        return without_duplicates([*found, *self._fine.detect(picture_bgr)])


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
