"""Decodes frames and finds their faces, several frames in parallel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Protocol

import numpy as np

from agegender.services.detect.faces.detections import FrameDetections
from agegender.services.detect.faces.yunet import Detection
from agegender.services.detect.motion import Searched
from agegender.shared.images.pictures import Bgr, UnreadablePicture, decode_picture
from agegender.shared.messages.pipeline import Frame, FrameInfo
from agegender.shared.runtime.stage import Bad, Dropped

Known = Dropped | Searched
"""What replaces a search: the frame is dropped, or shows what a searched one showed."""


class FaceDetector(Protocol):
    """Finds the faces of a picture. Each instance serves one thread at a time."""

    def detect(self, picture_bgr: Bgr, smallest_face_px: int | None = None) -> Sequence[Detection]:
        """The faces from left to right; empty when there is none. Smaller ones may be missed."""


class FaceSearch:
    """Finds the faces of single frames.

    Args:
        detectors: one for each frame searched in parallel. A single one works in the caller's thread.
        max_pixels: a picture with more pixels is not decoded.
        min_score: detections with a lower score are doubtful.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        detectors: Sequence[FaceDetector],
        max_pixels: int,
        min_score: float,
        clock: Callable[[], float],
    ) -> None:
        self._max_pixels = max_pixels
        self._min_score = min_score
        self._clock = clock
        self._free: SimpleQueue[FaceDetector] = SimpleQueue()
        for detector in detectors:
            self._free.put(detector)
        self._pool = ThreadPoolExecutor(len(detectors), "search") if len(detectors) > 1 else None

    def each(
        self, frames: Sequence[Frame], known: Callable[[Frame], Known | None]
    ) -> Iterator[FrameDetections | Bad | Known]:
        """The detections of each frame in order, or why it has none.

        Args:
            known: asked just before a frame is decoded, in the same thread. What it knows replaces a search.
        """

        def searched(frame: Frame) -> FrameDetections | Bad | Known:
            return self.one(frame) if (instead := known(frame)) is None else instead

        return map(searched, frames) if self._pool is None else self._pool.map(searched, frames)

    def one(self, frame: Frame) -> FrameDetections | Bad:
        """The detections of a frame, or why it is bad."""
        try:
            picture_bgr = decode_picture(frame.jpeg, self._max_pixels)
        except UnreadablePicture as error:
            return Bad(str(error))
        return self.picture(picture_bgr, frame.info)

    def picture(self, picture_bgr: Bgr, info: FrameInfo) -> FrameDetections:
        """The detections of a decoded picture."""
        detector = self._free.get()
        try:
            detected = detector.detect(picture_bgr, info.smallest_face_px)
        finally:
            self._free.put(detector)
        # Landmarks on one point cannot be aligned.
        found = [one for one in detected if np.ptp(one.landmarks_xy, axis=0).any()]
        faces = [one for one in found if one.score >= self._min_score]
        doubtful = [one for one in found if one.score < self._min_score]
        return FrameDetections(info, picture_bgr, faces, doubtful, self._clock())
