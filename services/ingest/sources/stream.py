"""The interface of a stream, and the types of a frame before it is a message."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from agegender.shared.errors import AgeGenderError
from agegender.shared.images.pictures import Bgr, UnreadablePicture
from agegender.shared.messages.pipeline import Clock, Mode

ANSWER_S = 35.0
"""How long a camera may take to answer, unless a setting says otherwise. Some need half a minute."""

KEYFRAME_S = 120.0
"""How long its first keyframe may take. Cameras that save bandwidth send one every 10 to 60 seconds."""


class FailureReason(StrEnum):
    """Why a camera gives no frames."""

    REFUSED = "refused"
    """No server listens at this address and port, or the camera refuses the request."""
    UNREACHABLE = "unreachable"
    """No answer: the host is off, the name is unknown, or a firewall swallows the packets."""
    LOGIN = "login"
    """The user or the password is wrong, or missing."""
    NOT_FOUND = "not-found"
    """The camera or the disk has nothing at this path."""
    UNSUPPORTED = "unsupported"
    """The camera asks for a login, a transport or an address that FFmpeg does not know."""
    NOT_VIDEO = "not-video"
    """The source holds no picture that can be decoded."""
    ENDED = "ended"
    """The camera closed the stream, or the file is cut short."""
    NO_FRAME = "no-frame"
    """The connection is open, but for too long no frame arrived that can be decoded."""
    NO_KEYFRAME = "no-keyframe"
    """Frames arrive, but no keyframe yet. The picture begins with the next keyframe."""
    HUNG = "hung"
    """The decoder process gave no sign of life and was killed."""
    CRASHED = "crashed"
    """The decoder process ended by itself, or could not be started."""
    SETTINGS = "settings"
    """The password's variable or file is missing, or the login is too long."""


class CameraError(AgeGenderError):
    """A camera could not be opened, or its stream broke. The text holds no login."""

    def __init__(self, reason: FailureReason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class StreamFrame:
    """One frame as a stream gives it. Its pixels are not converted yet, because most frames are skipped."""

    time_s: float | None
    """By the clock of the stream, for the sampler. None: the frame must not be skipped."""
    captured_at_s: float
    """Seconds since 1970, by `clock`."""
    clock: Clock
    picture: Callable[[], Bgr]
    """Returns the pixels; may raise UnreadablePicture."""
    media_time_s: float | None = None
    file: str | None = None
    """The path in valid UTF-8, see `shown_path`."""
    camera_time_s: float | None = None
    """Seconds since 1970 by the camera's clock, not checked yet; None while the camera reports no time."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The stream is open and goes on, but gives no frame yet."""

    reason: FailureReason
    why: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """The decoder was too slow. It left out video to be at the present again."""

    seconds: float
    """0 while it still reads what it leaves out."""


class Stream(Protocol):
    """An open camera or file, for one thread."""

    def frames(self) -> Iterator[StreamFrame | Waiting | Skipped]:
        """Waits for each next frame. Ends with the file; raises CameraError if the stream breaks.

        While a camera keeps us waiting, `Waiting` comes about once a second.
        """

    def close(self) -> None:
        """Closes the connection or the file."""


def shown_path(path: str | os.PathLike[str]) -> str:
    """`path` as valid UTF-8: other bytes become replacement characters."""
    return os.fsencode(path).decode("utf-8", "replace")


Wanted = Callable[[], bool]
"""Whether the reader still wants frames. A stream that waits asks this again and again."""

OpenStream = Callable[[Wanted], Stream]
"""Opens the camera, within seconds. Raises CameraError."""


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """A frame that the sampler picked, with its place in the stream."""

    camera_id: str
    stream_id: str
    sequence: int
    captured_at_s: float
    clock: Clock
    picture: Bgr | UnreadablePicture
    media_time_s: float | None = None
    file: str | None = None
    mode: Mode | None = None
    """From the settings of the camera; None: the default of its kind."""
    elapsed_s: float | None = None
    """Time since the stream began, by a clock that is never set."""
    smallest_face_px: int | None = None
    """From the settings of the camera."""

    @property
    def is_complete(self) -> bool:
        """See `FrameInfo.is_complete`."""
        return self.mode == "complete" or (self.mode is None and self.file is not None)
