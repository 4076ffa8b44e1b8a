"""Previews: small pictures of what a camera sees, with anonymized faces by default."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from agegender.shared.images.anonymization import anonymize
from agegender.shared.images.pictures import Bgr, encode_jpeg, shrink
from agegender.shared.messages.pipeline import BoxXyxy

DOUBTFUL_SCORE = 0.3
"""Detections from this score up to `min_score` are anonymized but not classified."""

_JPEG_QUALITY = 75


@dataclass(frozen=True, slots=True)
class PreviewRenderer:
    """Makes the previews of all cameras.

    Args:
        longer_side_px: of a preview.
        faces: whether faces are anonymized before the picture leaves the process.
    """

    longer_side_px: int
    faces: Literal["blurred", "clear"] = "blurred"

    def jpeg(self, picture_bgr: Bgr, faces_xyxy: Iterable[BoxXyxy]) -> bytes:
        """A small JPEG of the picture. `faces_xyxy`: in pixels of the full picture."""
        small_bgr = shrink(picture_bgr, self.longer_side_px)
        if self.faces == "blurred":
            y, x = np.divide(small_bgr.shape[:2], picture_bgr.shape[:2])
            small_bgr = anonymize(small_bgr, [(a * x, b * y, c * x, d * y) for a, b, c, d in faces_xyxy])
        return encode_jpeg(small_bgr, _JPEG_QUALITY)
