"""The frames of a video file or of a live camera, numbered and timed, their pixels not yet converted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Protocol

from prometheus_client import CollectorRegistry

from services.ingest.camera_source import CameraSource
from services.ingest.captured import CameraError, Captured, FailureReason
from services.ingest.config import IngestSettings
from services.ingest.sampler import Sampler
from services.ingest.stage import frame_info
from services.ingest.video_file import VideoFileStream
from shared.cameras import Camera
from shared.messages import Clock, FrameInfo
from shared.metrics import Metrics
from shared.pictures import Bgr, UnreadablePicture

_FIRST_FRAME_S = 15.0
_AFTER_FAILURE_S = 3.0  # time for a second try
_POLL_S = 0.2
_CLOCK = Fraction(1, 90_000)  # as RTP has it


@dataclass(frozen=True, slots=True)
class Moment:
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
        captured = Captured(
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


class Moments(Protocol):
    """An open video or camera, for one thread."""

    fps: Fraction
    """Frames a second, on average."""
    time_base: Fraction
    """The seconds that the times of the frames are whole numbers of."""
    frame_count: int | None
    """How many to expect; None where nobody knows."""

    def __iter__(self) -> Iterator[Moment]:
        """The frames; raises CameraError when they break off."""

    def close(self) -> None:
        """Lets go of the file or the camera."""


class FileMoments:
    """The frames of a video file.

    Args:
        path: the file.
        fps: frames a second to analyze; None for all.

    Raises:
        CameraError: there is no such file, or it holds no video.
    """

    def __init__(self, path: Path, fps: float | None) -> None:
        self._stream = VideoFileStream(str(path))
        self._sampler = Sampler(fps) if fps is not None else None
        self.fps = self._stream.fps
        self.time_base = self._stream.time_base
        self.frame_count = self._stream.frame_count

    def __iter__(self) -> Iterator[Moment]:
        """See `Moments`."""
        for number, frame in enumerate(self._stream.frames()):
            time_s = frame.media_time_s or 0.0
            due = self._sampler is None or self._sampler.is_due(time_s)
            yield Moment(
                number, time_s, due, frame.captured_at_s, frame.clock, frame.picture, time_s, frame.file
            )

    def close(self) -> None:
        """Closes the file."""
        self._stream.close()


class LiveMoments:
    """The newest frames of an RTSP camera or a webcam; those that come while there is no time are left out.

    A camera that breaks off is opened again, for as long as it takes.

    Args:
        camera: which; its `fps` says how many frames a second to take.
        seconds: end after so long; None to go on.
        stopped: asked over and over whether to end.
    """

    def __init__(self, camera: Camera, seconds: float | None, stopped: Callable[[], bool]) -> None:
        settings = IngestSettings()
        self._source = CameraSource([camera], settings, Metrics(CollectorRegistry()))
        self._camera = camera
        self._seconds = seconds
        self._stopped = stopped
        self.time_base = _CLOCK
        self.fps = Fraction(camera.fps or settings.fps).limit_denominator(1000)
        self.frame_count = None if seconds is None else round(seconds * self.fps)

    def __iter__(self) -> Iterator[Moment]:
        """See `Moments`; raises CameraError when no first frame comes in 15 s, or 3 s when it fails."""
        self._source.open()
        opened_s, first_s, number = time.monotonic(), None, 0
        while not self._stopped():
            polled = [one.message for one in self._source.poll(1, _POLL_S)]
            captured = next((one for one in polled if isinstance(one, Captured)), None)
            if captured is None:
                why = self._source.failures.get(self._camera.id)
                patience_s = _FIRST_FRAME_S if why is None else _AFTER_FAILURE_S
                if first_s is None and time.monotonic() - opened_s > patience_s:
                    raise CameraError(FailureReason.NO_FRAME, why or "it gives no frame")
                continue
            first_s = captured.captured_at_s if first_s is None else first_s
            time_s = max(0.0, captured.captured_at_s - first_s)
            if self._seconds is not None and time_s > self._seconds:
                return
            picture = partial(_pixels, captured.picture)
            yield Moment(number, time_s, True, captured.captured_at_s, captured.clock, picture)
            number += 1

    def close(self) -> None:
        """Closes the camera."""
        self._source.close()


def _pixels(picture: Bgr | UnreadablePicture) -> Bgr:
    if isinstance(picture, UnreadablePicture):
        raise picture
    return picture


@contextlib.contextmanager
def closing(moments: Moments) -> Iterator[Moments]:
    """Closes at the end of the block."""
    try:
        yield moments
    finally:
        moments.close()
