"""Quality: how well a chip shows its face, from its size, sharpness and detector score."""

from __future__ import annotations

import cv2
import numpy as np

from agegender.shared.images.faces import CHIP_SIDE_PX
from agegender.shared.images.pictures import Bgr
from agegender.shared.images.quality import SMALLEST_FACE_PX, UNUSABLE

# The worst and the ideal value of each measure; docs/models.md has the measurements. Below _BLURRED_DETAIL
# the age error jumps from 7 to 10 years, and then to 17.
_LARGE_FACE_PX = 96.0
_BLURRED_DETAIL, _SHARP_DETAIL = -4.25, -2.5
_DOUBTFUL_SCORE, _SURE_SCORE = 0.82, 0.93

_POOREST = 0.1
"""The lowest quality of a face that can be classified; 0 is for faces that cannot."""

_MARGIN_PX = 32
_COARSE_PX = 24


def face_quality(chip_bgr: Bgr, height_px: float, score: float) -> float:
    """How well the face of an aligned chip can be classified, from 0 (unusable) to 1 (ideal).

    The worst of three measures (size, sharpness, score) counts, because a good one does not make up for a bad
    one. A face smaller than SMALLEST_FACE_PX, or too blurred, has 0.

    Args:
        chip_bgr: (CHIP_SIDE_PX, CHIP_SIDE_PX, 3), from `cut_chip`.
        height_px: of the face's box, in the picture that the chip was cut from.
        score: of the detector. It is lower for faces that are turned away, occluded or unclear.
    """
    detail = chip_detail(chip_bgr)
    if height_px < SMALLEST_FACE_PX or detail <= _BLURRED_DETAIL:
        return UNUSABLE
    size = np.log(height_px / SMALLEST_FACE_PX) / np.log(_LARGE_FACE_PX / SMALLEST_FACE_PX)
    sharpness = (detail - _BLURRED_DETAIL) / (_SHARP_DETAIL - _BLURRED_DETAIL)
    certainty = (score - _DOUBTFUL_SCORE) / (_SURE_SCORE - _DOUBTFUL_SCORE)
    return _POOREST + (1 - _POOREST) * float(np.clip(min(size, sharpness, certainty), 0.0, 1.0))


def chip_detail(chip_bgr: Bgr) -> float:
    """The sharpness of a chip: log2 of the ratio of the variances of its fine and its coarse structure.

    Fine structure is the difference of Gaussian blurs of 1 and 2 pixels of the chip, coarse structure that of
    4 and 8. Light, contrast and skin change both alike and cancel out. The value is about -2 for a sharp
    face, -3.3 for a sharp face of 32 pixels, and below -4.25 for one blurred over 2.5 % of its height. Noise
    counts as structure.
    """
    inner = slice(_MARGIN_PX, CHIP_SIDE_PX - _MARGIN_PX)
    grey = cv2.cvtColor(chip_bgr[inner, inner], cv2.COLOR_BGR2GRAY)
    # In a picture of a quarter of the size, blurs of 4 and 8 pixels become 1 and 2, which is
    # much faster.
    coarse = cv2.resize(grey, (_COARSE_PX, _COARSE_PX), interpolation=cv2.INTER_AREA)
    # The constants prevent a division by zero for a flat chip, which then counts as blurred.
    return float(np.log2((_band(grey) + 0.02) / (_band(coarse) + 0.5)))


def _band(grey: cv2.typing.MatLike) -> float:
    """The variance of the difference of Gaussian blurs of 1 and 2 pixels."""
    pixels = np.asarray(grey, np.float32)
    return float((cv2.GaussianBlur(pixels, (0, 0), 1) - cv2.GaussianBlur(pixels, (0, 0), 2)).var())
