"""Face detection with YuNet, through OpenCV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from agegender.shared.images.pictures import Bgr, shrink

# x, y, width, height, five times x and y, score. The right eye and the right mouth corner come first; they
# lie left in the picture, which is the template's order.
_COLUMNS = 15


@dataclass(frozen=True)
class Detection:
    """One face in pixels of the picture that was searched."""

    box_xyxy: tuple[float, float, float, float]
    landmarks_xy: NDArray[np.float64]
    """(5, 2), in the order of `agegender.shared.images.faces.LANDMARK_TEMPLATE`."""
    score: float


class YuNet:
    """Finds faces in one picture at a time. Not for several threads at once.

    Args:
        weights: the ONNX file.
        longer_side_px: larger pictures are shrunk to this before the search. 640 halves the time and loses
            the faces under 32 px of a 1280 px picture; 960 loses those under 20 px.
        min_score: detections below are left out.
    """

    def __init__(self, weights: Path, longer_side_px: int = 960, min_score: float = 0.7) -> None:
        self._longer_side_px = longer_side_px
        # OpenCV 5 warns at every start that it has no other device than the CPU, which is the one meant.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        self._detector = cv2.FaceDetectorYN.create(
            str(weights), "", (longer_side_px, longer_side_px), score_threshold=min_score, nms_threshold=0.3
        )

    def detect(self, picture_bgr: Bgr) -> Sequence[Detection]:
        """The faces of the picture, from left to right; empty when there is none."""
        searched = shrink(picture_bgr, self._longer_side_px)
        height_px, width_px = searched.shape[:2]
        self._detector.setInputSize((width_px, height_px))
        _, found = self._detector.detect(searched)
        if found is None:
            return []
        rows = np.asarray(found, np.float64).reshape(-1, _COLUMNS)
        scale_xy = np.array([picture_bgr.shape[1] / width_px, picture_bgr.shape[0] / height_px])
        return sorted(
            (_detection(row, scale_xy) for row in rows), key=lambda d: (d.box_xyxy[0], d.box_xyxy[1])
        )


def _detection(row: NDArray[np.float64], scale_xy: NDArray[np.float64]) -> Detection:
    left, top = row[:2] * scale_xy
    width_px, height_px = row[2:4] * scale_xy
    return Detection(
        box_xyxy=(float(left), float(top), float(left + width_px), float(top + height_px)),
        landmarks_xy=row[4:14].reshape(5, 2) * scale_xy,
        score=float(np.clip(row[14], 0.0, 1.0)),
    )
