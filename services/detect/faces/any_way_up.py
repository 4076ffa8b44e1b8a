"""Photos that lie on their side or upside down, without a note in the file: finds which way up they are."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from agegender.services.detect.faces.multi_scale import MultiScaleYuNet
from agegender.services.detect.faces.yunet import Detection
from agegender.shared.images.pictures import Bgr

SURE_SCORE = 0.92
"""With a face of this score the picture is upright: faces that are not score less."""

TURNED_SCORE = 0.88
"""A turned picture must hold a face of this score; false finds in turned pictures scored up to 0.86."""

CLEARLY_BETTER = 0.02
"""How much higher the best score of a turned picture must be than that of the picture as it is."""

_TURNS = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)


class AnyWayUp:
    """Searches a picture the way up in which its faces are clearest. Serves one thread at a time.

    YuNet finds most upside-down faces and half of those on their side, but takes their mouth for the eyes, so
    their ages are years off. A picture without a sure face is therefore searched in all four directions. All
    faces come from the direction with the best one. Their landmarks, given in the picture as it is, tell how
    they lie, and alignment turns their chips upright.

    Args:
        detector: for pictures of any size.
    """

    def __init__(self, detector: MultiScaleYuNet) -> None:
        self._detector = detector

    def detect(self, picture_bgr: Bgr, smallest_face_px: int | None = None) -> Sequence[Detection]:
        """The faces of the picture, from left to right; empty when there is none.

        Args:
            smallest_face_px: see `YuNet.detect`. With it, the picture is searched as it is.
        """
        found = self._detector.detect(picture_bgr, smallest_face_px)
        if smallest_face_px is not None or _best(found) >= SURE_SCORE:
            return found
        scores = {turn: _best(self._detector.detect_larger(turned(picture_bgr, turn))) for turn in _TURNS}
        turn, score = max(scores.items(), key=lambda one: one[1])
        if score < max(TURNED_SCORE, _best(found) + CLEARLY_BETTER):
            return found
        faces = self._detector.detect(turned(picture_bgr, turn))
        height_px, width_px = picture_bgr.shape[:2]
        back = [turned_back(one, turn, width_px, height_px) for one in faces]
        return sorted(back, key=lambda one: one.box_xyxy[:2])


def turned(picture_bgr: Bgr, turn: int) -> Bgr:
    """The picture turned by one of OpenCV's `ROTATE_...`."""
    return np.ascontiguousarray(cv2.rotate(picture_bgr, turn), np.uint8)


def turned_back(face: Detection, turn: int, width_px: int, height_px: int) -> Detection:
    """A face of the turned picture, in the picture as it was, which has this width and height."""

    def back(x: float, y: float, last_x: float, last_y: float) -> tuple[float, float]:
        if turn == cv2.ROTATE_180:
            return last_x - x, last_y - y
        return (y, last_y - x) if turn == cv2.ROTATE_90_CLOCKWISE else (last_x - y, x)

    left, top, right, bottom = face.box_xyxy
    one, other = (back(*corner, width_px, height_px) for corner in ((left, top), (right, bottom)))
    box_xyxy = (min(one[0], other[0]), min(one[1], other[1]), max(one[0], other[0]), max(one[1], other[1]))
    # Boxes end between pixels. Landmarks count the middles of pixels, as the alignment does.
    landmarks = [back(float(x), float(y), width_px - 1, height_px - 1) for x, y in face.landmarks_xy]
    return Detection(box_xyxy, np.array(landmarks), face.score)


def _best(found: Sequence[Detection]) -> float:
    return max((one.score for one in found), default=0.0)
