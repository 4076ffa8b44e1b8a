"""Anonymization: makes faces unrecognisable for good."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np

from agegender.shared.images.pictures import Bgr
from agegender.shared.messages.pipeline import BoxXyxy

_CELLS = 2  # with 4, the detector still finds some of the faces
_STEP = 16  # of 256 levels
_MARGIN = 0.3  # of the box on each side, because hair, ears and chin identify a person too


def anonymize(picture_bgr: Bgr, boxes_xyxy: Iterable[BoxXyxy]) -> Bgr:
    """A copy of the picture in which each face is replaced by four blurred colours.

    Each box, with 30 % around it, becomes the mean colours of 2 x 2 cells, rounded to 16 levels, with soft
    transitions. The pixels contain only these four colours, so the face cannot be restored.
    """
    anonymous_bgr = picture_bgr.copy()
    height_px, width_px = picture_bgr.shape[:2]
    for left, top, right, bottom in boxes_xyxy:
        margin_x, margin_y = _MARGIN * (right - left), _MARGIN * (bottom - top)
        x0, x1 = max(0, int(left - margin_x)), min(width_px, int(right + margin_x) + 1)
        y0, y1 = max(0, int(top - margin_y)), min(height_px, int(bottom + margin_y) + 1)
        if x0 >= x1 or y0 >= y1:
            continue
        cells = cv2.resize(picture_bgr[y0:y1, x0:x1], (_CELLS, _CELLS), interpolation=cv2.INTER_AREA)
        coarse = np.asarray(cells // _STEP * _STEP + _STEP // 2, np.uint8)
        anonymous_bgr[y0:y1, x0:x1] = cv2.resize(coarse, (x1 - x0, y1 - y0), interpolation=cv2.INTER_CUBIC)
    return anonymous_bgr
