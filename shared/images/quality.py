"""Which faces are worth classifying: the one place where that is decided.

`detect` measures how well a picture shows a face, `FaceInfo.quality`. `docs/models.md` shows how the error of
the age grows with small and with blurred faces, and so why the limits lie where they do.
"""

from __future__ import annotations

from agegender.shared.messages.pipeline import FaceInfo, Unclassified

SMALLEST_FACE_PX = 24.0
"""Lower faces are too small: ages read from them are ten years off."""

UNUSABLE = 0.0
"""The quality of a face that nothing can be read from."""


def height_px(face: FaceInfo) -> float:
    """The height of the face's box in pixels of its frame."""
    return face.box_xyxy[3] - face.box_xyxy[1]


def why_unclassified(face: FaceInfo) -> Unclassified | None:
    """Why this face is not to be classified, or None. Where nobody measured the quality, only the size counts."""
    if height_px(face) < SMALLEST_FACE_PX:
        return "too-small"
    if face.quality is not None and face.quality <= UNUSABLE:
        return "too-blurred"
    return None
