"""The faces found in one frame. Each is aligned and measured only when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agegender.services.detect.faces.alignment import cut_chip
from agegender.services.detect.faces.quality import face_quality
from agegender.services.detect.faces.yunet import Detection
from agegender.shared.images.pictures import Bgr, encode_jpeg
from agegender.shared.messages.pipeline import Face, FaceInfo, FrameInfo

CHIP_QUALITY = 90
"""The JPEG quality of chips."""


@dataclass(frozen=True, slots=True)
class AlignedFace:
    """One face with its chip, not compressed yet: most faces are measured and then skipped."""

    info: FaceInfo
    chip_bgr: Bgr

    def face(self, track_id: str | None = None, vote: int | None = None) -> Face:
        """The message for this face."""
        info = self.info
        if track_id is not None:
            info = info.model_copy(update={"track_id": track_id, "vote": vote})
        return Face(info=info, chip_jpeg=encode_jpeg(self.chip_bgr, CHIP_QUALITY))


@dataclass(frozen=True, slots=True)
class FrameDetections:
    """The picture of a frame, and what the detector found in it."""

    info: FrameInfo
    picture_bgr: Bgr
    faces: Sequence[Detection]
    """From left to right."""
    doubtful: Sequence[Detection]
    """Detections with a low score: not classified, but anonymized."""
    searched_at_s: float

    def cut(self, index: int) -> AlignedFace:
        """The face at `index` of `faces`, with its quality."""
        found = self.faces[index]
        chip_bgr = cut_chip(self.picture_bgr, found.landmarks_xy)
        quality = face_quality(chip_bgr, found.box_xyxy[3] - found.box_xyxy[1], found.score)
        landmarks_xy = tuple((round(float(x), 2), round(float(y), 2)) for x, y in found.landmarks_xy)
        info = FaceInfo.model_validate(
            {
                "frame": self.info,
                "index": index,
                "faces_in_frame": len(self.faces),
                "box_xyxy": tuple(round(side, 2) for side in found.box_xyxy),
                "landmarks_xy": landmarks_xy,
                "score": round(found.score, 4),
                "quality": round(quality, 3),
                "detected_at_s": self.searched_at_s,
            }
        )
        return AlignedFace(info, chip_bgr)

    def all_faces(self) -> tuple[Face, ...]:
        """The messages for all faces, without tracks."""
        return tuple(self.cut(index).face() for index in range(len(self.faces)))
