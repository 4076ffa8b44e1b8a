"""Which faces are good enough to be classified.

Detect measures `FaceInfo.quality`. `docs/models.md` gives the reason for the limits: how the age error grows
for small and for blurred faces.
"""

from __future__ import annotations

from agegender.shared.messages.pipeline import FaceInfo, Unclassified

SMALLEST_FACE_PX = 24.0
"""The smallest height of a face that is classified. Ages of smaller faces are wrong by ten years."""

UNUSABLE = 0.0
"""The quality of a face that cannot be classified."""


def height_px(face: FaceInfo) -> float:
    """The height of the face's box, in pixels of its frame."""
    return face.box_xyxy[3] - face.box_xyxy[1]


def why_unclassified(face: FaceInfo) -> Unclassified | None:
    """Why the face must not be classified, or None. Without a measured quality, only the size counts."""
    if height_px(face) < SMALLEST_FACE_PX:
        return "too-small"
    if face.quality is not None and face.quality <= UNUSABLE:
        return "too-blurred"
    return None
