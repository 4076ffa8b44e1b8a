"""Animated WebP, through OpenCV, because FFmpeg decodes still WebP only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from agegender.services.ingest.sources.stream import CameraError, FailureReason, StreamFrame, shown_path
from agegender.shared.images.pictures import Bgr
from agegender.shared.images.sizes import MAX_PICTURE_BYTES, MAX_PIXELS, claimed_size

_PIXELS_AT_ONCE = 2 * MAX_PIXELS  # 400 MB with alpha
_FRAME_HEADER_BYTES = 16
_SHORTEST_MS = 11
_USUAL_MS = 100  # browsers show frames of 10 ms and less for as long as this


def is_webp(path: str) -> bool:
    """Whether the file begins as a WebP. False if it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(12)
    except OSError:
        return False
    return head[:4] == b"RIFF" and head[8:] == b"WEBP"


class WebpAnimation:
    """The frames of an animated WebP, as `stream.Stream`.

    Raises:
        CameraError: the file cannot be read, is no animated WebP, or is too large.
    """

    def __init__(self, path: str) -> None:
        self._file = shown_path(path)
        self._data = _read(path)
        shown_ms = [_USUAL_MS if ms < _SHORTEST_MS else ms for ms in _durations_ms(self._data)]
        self._durations_s = [ms / 1_000 for ms in shown_ms]
        width_px, height_px = claimed_size(self._data) or (0, 0)
        if not self._durations_s or not width_px * height_px:
            raise CameraError(FailureReason.NOT_VIDEO, "it holds no video that can be decoded")
        if width_px * height_px > MAX_PIXELS:
            raise CameraError(
                FailureReason.NOT_VIDEO,
                f"{width_px} x {height_px} pixels are more than the {MAX_PIXELS} allowed",
            )
        self._at_once = max(1, _PIXELS_AT_ONCE // (width_px * height_px))
        self.frame_count = len(self._durations_s)
        self.fps = Fraction(self.frame_count / sum(self._durations_s)).limit_denominator(1_000)
        self.time_base = Fraction(1, 1_000)
        self.undecoded = 0
        """The frames that could not be decoded, so far."""

    def frames(self) -> Iterator[StreamFrame]:
        """See `stream.Stream`."""
        time_s = 0.0
        for first in range(0, self.frame_count, self._at_once):
            wanted = min(self._at_once, self.frame_count - first)
            pictures = self._decoded(first, wanted)
            self.undecoded += wanted - len(pictures)
            for number in range(first, first + wanted):
                if number - first < len(pictures):
                    yield StreamFrame(
                        time_s,
                        time.time(),
                        "arrival",
                        partial(_colours, pictures[number - first]),
                        media_time_s=time_s,
                        file=self._file,
                    )
                time_s += self._durations_s[number]
        if self.undecoded == self.frame_count:
            raise CameraError(FailureReason.NOT_VIDEO, "none of its frames can be decoded")

    def _decoded(self, first: int, count: int) -> list[Bgr]:
        data = np.frombuffer(self._data, np.uint8)
        try:
            _, animation = cv2.imdecodeanimation(data, start=first, count=count)
        except cv2.error:
            return []
        return [np.asarray(picture, np.uint8) for picture in animation.frames]

    def close(self) -> None:
        """Does nothing: no file stays open."""


def _read(path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_PICTURE_BYTES + 1)
    except OSError as error:
        raise CameraError(FailureReason.NOT_FOUND, f"cannot be read: {error.strerror}") from None
    if len(data) > MAX_PICTURE_BYTES:
        raise CameraError(FailureReason.NOT_VIDEO, f"more than the {MAX_PICTURE_BYTES} bytes allowed")
    return data


def _durations_ms(data: bytes) -> Iterator[int]:
    """Of each chunk ANMF (WebP container, section "Animation")."""
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == b"ANMF" and at + 8 + _FRAME_HEADER_BYTES <= len(data):
            yield int.from_bytes(data[at + 20 : at + 23], "little")
        at += 8 + length + length % 2


def _colours(picture: Bgr) -> Bgr:
    """Without alpha, as `decode_picture`."""
    return np.ascontiguousarray(picture[:, :, :3])
