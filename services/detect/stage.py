"""A frame in, one aligned chip for every face out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from services.detect.alignment import cut_chip
from services.detect.quality import face_quality
from services.detect.yunet import Detection
from shared.messages import Face, FaceInfo, Frame, FrameInfo, Presence
from shared.pictures import MAX_PIXELS, Bgr, UnreadablePicture, decode_picture, encode_jpeg
from shared.stage import Bad, Done, Outcome

CHIP_QUALITY = 90


class FaceDetector(Protocol):
    """Finds the faces of a picture."""

    def detect(self, picture_bgr: Bgr) -> Sequence[Detection]:
        """The faces from left to right."""


class DetectStage:
    """Decodes a frame, finds its faces and cuts a chip for each.

    A frame whose picture cannot be read is bad. Detections without extent (all landmarks on one point) are
    no faces and are left out.
    """

    def __init__(
        self,
        detector: FaceDetector,
        *,
        max_pixels: int = MAX_PIXELS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._detector = detector
        self._max_pixels = max_pixels
        self._clock = clock

    def process(self, batch: Sequence[Frame]) -> Sequence[Outcome[Face | Presence]]:
        """One outcome a frame: its faces, or why it is bad."""
        return [self.find(frame) for frame in batch]

    def find(self, frame: Frame) -> Outcome[Face]:
        """All faces of a frame by itself, or why it is bad."""
        try:
            picture_bgr = decode_picture(frame.jpeg, self._max_pixels)
        except UnreadablePicture as error:
            return Bad(str(error))
        return Done(self.faces_in(picture_bgr, frame.info))

    def faces_in(self, picture_bgr: Bgr, info: FrameInfo) -> tuple[Face, ...]:
        """The faces of a decoded picture, from left to right, for whoever has the pixels already."""
        found = [d for d in self._detector.detect(picture_bgr) if np.ptp(d.landmarks_xy, axis=0).any()]
        return tuple(self._face(info, picture_bgr, d, index, len(found)) for index, d in enumerate(found))

    def _face(self, frame: FrameInfo, picture_bgr: Bgr, found: Detection, index: int, number: int) -> Face:
        chip_bgr = cut_chip(picture_bgr, found.landmarks_xy)
        quality = face_quality(chip_bgr, found.box_xyxy[3] - found.box_xyxy[1], found.score)
        landmarks_xy = tuple((round(float(x), 2), round(float(y), 2)) for x, y in found.landmarks_xy)
        info = FaceInfo.model_validate(
            {
                "frame": frame,
                "index": index,
                "faces_in_frame": number,
                "box_xyxy": tuple(round(side, 2) for side in found.box_xyxy),
                "landmarks_xy": landmarks_xy,
                "score": round(found.score, 4),
                "quality": round(quality, 3),
                "detected_at_s": self._clock(),
            }
        )
        return Face(info=info, chip_jpeg=encode_jpeg(chip_bgr, CHIP_QUALITY))
