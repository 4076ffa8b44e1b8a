"""Cameras of this machine, through OpenCV, which supports each operating system."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

import cv2
import numpy as np

from agegender.services.ingest.sources.stream import CameraError, FailureReason, StreamFrame
from agegender.shared.images.pictures import Bgr


class WebcamStream:
    """A video device, as `stream.Stream`."""

    def __init__(self, index: int, device: Callable[[int], cv2.VideoCapture] = cv2.VideoCapture) -> None:
        self._capture = device(index)
        if not self._capture.isOpened():
            self._capture.release()
            raise CameraError(
                FailureReason.NOT_FOUND, f"this machine has no camera {index}, or another program uses it"
            )

    def frames(self) -> Iterator[StreamFrame]:
        """The frames, each with the time of its arrival."""
        while True:
            ok, picture = self._capture.read()
            if not ok:
                raise CameraError(FailureReason.ENDED, "the camera gave no more frames")
            now_s = time.time()
            bgr = np.asarray(picture, np.uint8)
            yield StreamFrame(now_s, now_s, "arrival", partial(_same, bgr))

    def close(self) -> None:
        """Frees the device."""
        self._capture.release()


def _same(picture_bgr: Bgr) -> Bgr:
    return picture_bgr
