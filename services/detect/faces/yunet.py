"""Face detection with YuNet, through OpenCV."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from agegender.shared.images.pictures import Bgr, shrink

# Left, top, width, height, x and y of five landmarks, score. The person's right eye and right mouth corner
# come first. They lie left in the picture, as in the landmark template.
_COLUMNS = 15


@dataclass(frozen=True)
class Detection:
    """One face, in pixels of the searched picture."""

    box_xyxy: tuple[float, float, float, float]
    landmarks_xy: NDArray[np.float64]
    """(5, 2), in the order of `agegender.shared.images.faces.LANDMARK_TEMPLATE`."""
    score: float


class YuNet:
    """Finds the faces of one picture at a time. Serves one thread at a time.

    Args:
        weights: the ONNX file.
        longer_side_px: larger pictures are shrunk to this for the search. In a picture of 1280 px, 960 loses
            faces under 20 px; 640 takes half the time and loses faces under 32 px.
        min_score: detections with a lower score are left out.
    """

    def __init__(self, weights: Path, longer_side_px: int = 960, min_score: float = 0.7) -> None:
        self._longer_side_px = longer_side_px
        # OpenCV 5 warns at every start that it has only the CPU. Errors still raise, and are logged.
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
