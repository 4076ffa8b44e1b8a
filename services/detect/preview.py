"""A small picture of what a camera sees, its faces covered unless told otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from agegender.shared.images.anonymization import anonymize
from agegender.shared.images.pictures import Bgr, encode_jpeg, shrink
from agegender.shared.messages.pipeline import BoxXyxy

DOUBTFUL_SCORE = 0.3
"""What is a face for the detector with so little confidence is none to be classified, but one to be covered."""

_JPEG_QUALITY = 75


@dataclass(frozen=True, slots=True)
class PreviewRenderer:
    """How the scene is shown.

    Args:
        longer_side_px: of the picture.
        faces: whether they are covered before anything leaves the process.
    """

    longer_side_px: int
    faces: Literal["blurred", "clear"] = "blurred"

    def jpeg(self, picture_bgr: Bgr, faces_xyxy: Iterable[BoxXyxy]) -> bytes:
        """The picture as a small JPEG; `faces_xyxy` are in pixels of the whole one."""
        small_bgr = shrink(picture_bgr, self.longer_side_px)
        if self.faces == "blurred":
            y, x = np.divide(small_bgr.shape[:2], picture_bgr.shape[:2])
            small_bgr = anonymize(small_bgr, [(a * x, b * y, c * x, d * y) for a, b, c, d in faces_xyxy])
        return encode_jpeg(small_bgr, _JPEG_QUALITY)
