"""What comes out of a camera before it is a message, and what a camera's stream is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from agegender.shared.errors import AgeGenderError
from agegender.shared.images.pictures import Bgr, UnreadablePicture
from agegender.shared.messages.pipeline import Clock, Mode


class FailureReason(StrEnum):
    """Why a camera gives no frames."""

    REFUSED = "refused"
    """Nothing listens at that address and port, or the camera turns us away."""
    UNREACHABLE = "unreachable"
    """No answer: the host is off, the name is unknown, or a firewall swallows the packets."""
    LOGIN = "login"
    """The user or the password is wrong, or missing."""
    NOT_FOUND = "not-found"
    """The camera or the disk has nothing under that path."""
    NOT_VIDEO = "not-video"
    """What is there holds no pictures that can be decoded."""
    ENDED = "ended"
    """The camera closed the stream, or the file breaks off."""
    NO_FRAME = "no-frame"
    """The connection stands, and no frame that can be decoded came for too long."""
    HUNG = "hung"
    """The process that decodes the camera gave no sign of life, and was ended."""
    CRASHED = "crashed"
    """The process that decodes the camera has ended by itself, or none could be started."""
    SETTINGS = "settings"
    """The password's variable or file is missing, or the login is too long."""


class CameraError(AgeGenderError):
    """A camera could not be opened, or its stream broke. The text holds no login."""

    def __init__(self, reason: FailureReason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class StreamFrame:
    """One decoded frame, its pixels not yet converted: most frames are never looked at."""

    time_s: float | None
    """On the stream's own clock, to which the sampler holds; None where each frame is to be picked."""
    captured_at_s: float
    """Seconds since 1970, by `clock`."""
    clock: Clock
    picture: Callable[[], Bgr]
    """Gives the pixels; may raise UnreadablePicture."""
    media_time_s: float | None = None
    file: str | None = None
    """The path in valid UTF-8, see `shown_path`."""


class Stream(Protocol):
    """An open camera or file. Used by one thread."""

    def frames(self) -> Iterator[StreamFrame]:
        """Blocks for each next frame; ends with the file; raises CameraError when the stream breaks."""

    def close(self) -> None:
        """Lets go of the connection or the file."""


def shown_path(path: str | os.PathLike[str]) -> str:
    """`path` as text that any message can hold: bytes that are no UTF-8 are shown as question marks."""
    return os.fsencode(path).decode("utf-8", "replace")


Wanted = Callable[[], bool]
"""Whether the thread that reads is to go on; a stream that waits asks this over and over where it can."""

OpenStream = Callable[[Wanted], Stream]
"""Opens the camera. Blocks for seconds at most; raises CameraError."""


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """A frame that the sampler picked, and where in which stream it stands."""

    camera_id: str
    stream_id: str
    sequence: int
    captured_at_s: float
    clock: Clock
    picture: Bgr | UnreadablePicture
    media_time_s: float | None = None
    file: str | None = None
    mode: Mode | None = None
    """As the settings of the camera have it."""

    @property
    def is_complete(self) -> bool:
        """See `FrameInfo.is_complete`."""
        return self.mode == "complete" or (self.mode is None and self.file is not None)
