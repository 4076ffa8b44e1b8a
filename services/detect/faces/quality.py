"""How well a picture shows a face: by its size, sharpness and pose, and how sure the detector is of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from agegender.shared.images.faces import CHIP_SIDE_PX
from agegender.shared.images.pictures import Bgr
from agegender.shared.images.quality import SMALLEST_FACE_PX, UNUSABLE
from agegender.shared.messages.pipeline import PointXy

# Where each of the three leaves nothing to wish for, and where it is at its worst; docs/models.md has the
# measurements. Below _BLURRED_DETAIL the age error leaps from 7 to 10 years and on to 17.
_LARGE_FACE_PX = 96.0
_BLURRED_DETAIL, _SHARP_DETAIL = -4.25, -2.5
_DOUBTFUL_SCORE, _SURE_SCORE = 0.82, 0.93

_LITTLE_TURN, _FAR_TURN, _PROFILE = 0.4, 0.9, 0.5

_POOREST = 0.1
"""The least quality of a face that can be classified, so that 0 is left for those that cannot."""

_MARGIN_PX = 32
_COARSE_PX = 24


def face_quality(chip_bgr: Bgr, height_px: float, score: float) -> float:
    """How well the face of an aligned chip can be classified: 0 not at all, 1 as well as any.

    The worst of three counts, because none makes up for another. A face that is smaller than
    SMALLEST_FACE_PX or too blurred has 0.

    Args:
        chip_bgr: (CHIP_SIDE_PX, CHIP_SIDE_PX, 3), as `cut_chip` gives it.
        height_px: of the face's box in the picture that the chip was cut from.
        score: the detector's. It falls where a face is turned away, covered or hard to make out.
    """
    detail = chip_detail(chip_bgr)
    if height_px < SMALLEST_FACE_PX or detail <= _BLURRED_DETAIL:
        return UNUSABLE
    size = np.log(height_px / SMALLEST_FACE_PX) / np.log(_LARGE_FACE_PX / SMALLEST_FACE_PX)
    sharpness = (detail - _BLURRED_DETAIL) / (_SHARP_DETAIL - _BLURRED_DETAIL)
    certainty = (score - _DOUBTFUL_SCORE) / (_SURE_SCORE - _DOUBTFUL_SCORE)
    return _POOREST + (1 - _POOREST) * float(np.clip(min(size, sharpness, certainty), 0.0, 1.0))


def turn(landmarks_xy: Sequence[PointXy]) -> float:
    """How far a face is turned away, by its landmarks in the order of `faces.LANDMARK_TEMPLATE`.

    How far the nose lies beside the middle of the line from between the eyes to between the corners of the
    mouth, in distances of the eyes: 0 from the front, more than 1 towards a profile, where the eyes close
    up. Does not depend on how the head is tilted to a shoulder, nor on its size.
    """
    left_eye, right_eye, nose, *mouth = np.asarray(landmarks_xy, np.float64)
    eyes, lips = (left_eye + right_eye) / 2, (mouth[0] + mouth[1]) / 2
    down_x, down_y = lips - eyes
    beside = abs(np.array([-down_y, down_x]) @ (nose - (eyes + lips) / 2))
    apart = float(np.hypot(*(right_eye - left_eye)) * np.hypot(down_x, down_y))
    return float(beside) / apart if apart > 0 else math.inf


def facing(landmarks_xy: Sequence[PointXy]) -> float:
    """How much a face looks this way: 1 from the front, `_PROFILE` where it is far turned.

    At equal quality, far turned faces are read up to twice as wrong; docs/models.md has the measurements. So
    of one person's faces, those that look this way are classified first.
    """
    far = (turn(landmarks_xy) - _LITTLE_TURN) / (_FAR_TURN - _LITTLE_TURN)
    return 1.0 - (1.0 - _PROFILE) * min(max(far, 0.0), 1.0)


def chip_detail(chip_bgr: Bgr) -> float:
    """How much fine structure the face shows for its coarse structure: log2 of the ratio of their variances.

    Fine is what lies between blurs of 1 and 2 pixels of the chip, coarse between 4 and 8. Light, contrast and
    skin weigh on both alike and cancel out. About -2 for a sharp face, -3.3 for a sharp one of 32 pixels,
    under -4.25 for one blurred over 2.5 % of its height. Noise counts as structure.
    """
    inner = slice(_MARGIN_PX, CHIP_SIDE_PX - _MARGIN_PX)
    grey = cv2.cvtColor(chip_bgr[inner, inner], cv2.COLOR_BGR2GRAY)
    # Shrunk to a quarter, blurs of 4 and 8 pixels become 1 and 2: the same measure, and much less to do.
    coarse = cv2.resize(grey, (_COARSE_PX, _COARSE_PX), interpolation=cv2.INTER_AREA)
    # The constants keep a flat chip from a division by zero, and put it among the blurred ones.
    return float(np.log2((_band(grey) + 0.02) / (_band(coarse) + 0.5)))


def _band(grey: cv2.typing.MatLike) -> float:
    """The variance of what lies between blurs of 1 and 2 pixels."""
    pixels = np.asarray(grey, np.float32)
    return float((cv2.GaussianBlur(pixels, (0, 0), 1) - cv2.GaussianBlur(pixels, (0, 0), 2)).var())
