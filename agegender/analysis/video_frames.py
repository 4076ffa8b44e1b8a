"""The frames of a video file or of a live camera, numbered and timed, their pixels not yet converted."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Protocol

from prometheus_client import CollectorRegistry

from agegender.services.ingest.camera_source import CameraSource
from agegender.services.ingest.config import IngestSettings
from agegender.services.ingest.sources.sampler import Sampler
from agegender.services.ingest.sources.stream import CameraError, CapturedFrame, FailureReason
from agegender.services.ingest.sources.video_file import video_stream
from agegender.services.ingest.stage import frame_info
from agegender.shared.cameras.camera import Camera
from agegender.shared.images.pictures import Bgr, UnreadablePicture
from agegender.shared.messages.pipeline import Clock, FrameInfo
from agegender.shared.process.metrics import Metrics

_FIRST_FRAME_S = 15.0
_AFTER_FAILURE_S = 3.0  # time for a second try
_POLL_S = 0.2
_LONGER_SIDE_PX = 4_096  # the most that ingest hands over: copies are as large as the camera's pictures
_CLOCK = Fraction(1, 90_000)  # as RTP has it


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One frame."""

    number: int
    """Counts the frames of the video from 0, also those that are not looked at."""
    time_s: float
    """Since the first frame, by the video's own clock."""
    due: bool
    """Whether it is to be analyzed; the others are only shown."""
    captured_at_s: float
    clock: Clock
    picture: Callable[[], Bgr]
    """Gives the pixels; may raise UnreadablePicture. Once, from any thread."""
    media_time_s: float | None = None
    file: str | None = None

    def info(self, picture_bgr: Bgr, camera_id: str) -> FrameInfo:
        """What the messages of the pipeline say of a frame."""
        captured = CapturedFrame(
            camera_id,
            "0",
            self.number,
            self.captured_at_s,
            self.clock,
            picture_bgr,
            self.media_time_s,
            self.file,
        )
        return frame_info(captured, picture_bgr, time.time())


class VideoFrames(Protocol):
    """An open video or camera, for one thread."""

    fps: Fraction
    """Frames a second, on average."""
    time_base: Fraction
    """The seconds that the times of the frames are whole numbers of."""
    frame_count: int | None
    """How many to expect; None if it is unknown."""

    @property
    def undecoded(self) -> int:
        """The frames that could not be decoded, so far."""

    @property
    def damage(self) -> str | None:
        """Says how many frames could not be decoded, after the last one; None if all could."""

    def __iter__(self) -> Iterator[VideoFrame]:
        """The frames; raises CameraError when they break off."""

    def close(self) -> None:
        """Lets go of the file or the camera."""


class FileFrames:
    """The frames of a video file.

    Args:
        path: the file.
        fps: frames a second to analyze; None for all.

    Raises:
        CameraError: there is no such file, or it holds no video.
    """

    def __init__(self, path: Path, fps: float | None) -> None:
        self._stream = video_stream(str(path))
        self._sampler = Sampler(fps) if fps is not None else None
        self.fps = self._stream.fps
        self.time_base = self._stream.time_base
        self.frame_count = self._stream.frame_count
        self._decoded = 0

    @property
    def undecoded(self) -> int:
        """See `VideoFrames`."""
        return self._stream.undecoded

    @property
    def damage(self) -> str | None:
        """See `VideoFrames`."""
        lost = self.undecoded
        return f"{lost} of {lost + self._decoded} frames cannot be decoded" if lost else None

    def __iter__(self) -> Iterator[VideoFrame]:
        """See `VideoFrames`."""
        for number, frame in enumerate(self._stream.frames()):
            self._decoded = number + 1
            time_s = frame.media_time_s or 0.0
            due = self._sampler is None or self._sampler.pick(time_s)
            yield VideoFrame(
                number, time_s, due, frame.captured_at_s, frame.clock, frame.picture, time_s, frame.file
            )

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()


class LiveFrames:
    """The newest frames of an RTSP camera or a webcam; those that come while there is no time are left out.

    A camera that breaks off is opened again, until its time is over.

    Args:
        camera: which; its `fps` says how many frames a second to take.
        seconds: end so long after the first frame; None to go on.
        stopped: tells whether to stop.
        tell: receives a text each time that the connection fails.
    """

    def __init__(
        self,
        camera: Camera,
        seconds: float | None,
        stopped: Callable[[], bool],
        tell: Callable[[str], None],
    ) -> None:
        settings = IngestSettings(longer_side_px=_LONGER_SIDE_PX)
        self._source = CameraSource([camera], settings, Metrics(CollectorRegistry()))
        self._camera = camera
        self._seconds = seconds
        self._stopped = stopped
        self._tell = tell
        self.time_base = _CLOCK
        self.fps = Fraction(camera.fps or settings.fps).limit_denominator(1000)
        self.frame_count = None if seconds is None else round(seconds * self.fps)

    undecoded = 0
    damage = None

    def __iter__(self) -> Iterator[VideoFrame]:
        """See `VideoFrames`; raises CameraError when no first frame comes in 15 s, or 3 s when it fails.

        It also does so when the camera is away at the end of its time.
        """
        self._source.open()
        first = captured = self._first()
        until_s = math.inf if self._seconds is None else time.monotonic() + self._seconds
        number, time_s = 0, 0.0
        away: str | None = None
        while first is not None and not self._stopped() and time.monotonic() < until_s:
            if captured is not None:
                away = None
                time_s = max(0.0, captured.captured_at_s - first.captured_at_s)
                picture = partial(_pixels, captured.picture)
                yield VideoFrame(number, time_s, True, captured.captured_at_s, captured.clock, picture)
                number += 1
            elif away is None and (away := self._failure) is not None:
                self._tell(f"no frames after {time_s:.1f} s, trying again: {away}")
            captured = self._next()
        if away is not None and not self._stopped():
            raise CameraError(FailureReason.ENDED, f"broken after {time_s:.1f} s: {away}")

    def _first(self) -> CapturedFrame | None:
        """None if the run was asked to stop."""
        opened_s = time.monotonic()
        while not self._stopped():
            if (captured := self._next()) is not None:
                return captured
            patience_s = _FIRST_FRAME_S if self._failure is None else _AFTER_FAILURE_S
            if time.monotonic() - opened_s > patience_s:
                raise CameraError(FailureReason.NO_FRAME, self._failure or "it gives no frame")
        return None

    def _next(self) -> CapturedFrame | None:
        """The newest frame; None where none came just now."""
        polled = [one.message for one in self._source.poll(1, _POLL_S)]
        return next((one for one in polled if isinstance(one, CapturedFrame)), None)

    @property
    def _failure(self) -> str | None:
        return self._source.failures.get(self._camera.id)

    def close(self) -> None:
        """Closes the camera."""
        self._source.close()


def _pixels(picture: Bgr | UnreadablePicture) -> Bgr:
    if isinstance(picture, UnreadablePicture):
        raise picture
    return picture


@contextlib.contextmanager
def closing(moments: VideoFrames) -> Iterator[VideoFrames]:
    """Closes at the end of the block."""
    try:
        yield moments
    finally:
        moments.close()
