"""What the store answers with, besides visits and counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from agegender.shared.messages.pipeline import Clock, Result

T = TypeVar("T")

_NEARLY_ALL = 0.8  # of the frames; a few are always dropped, and five seconds hold few frames

PRESENT_S = 10.0
"""A person is there now if the visit is open, had a message in the last 10 s, and its end was not seen."""

SILENT_AFTER_S = 10.0
"""A camera is not live when the store has got no frame of it for this long."""

NOTICE_LASTS_S = 30.0
"""A failure counts for this long after its latest notice: the worker that sent it may be gone."""

CameraState = Literal["live", "failing", "stopped", "silent"]
"""`live`: frames come. `failing`: ingest says why none come. `stopped`: it is not read any more. `silent`: no
frames come, and ingest gives no reason."""


@dataclass(frozen=True, slots=True)
class FrameNews:
    """The newest frame of a camera."""

    captured_at_s: float
    """Seconds since 1970 UTC."""
    clock: Clock
    """The clock of `captured_at_s`."""
    size_wh: tuple[int, int]
    """In pixels."""
    frame_rate_hz: float | None
    """Frames processed per second of capture time; None at first, and for single pictures."""
    captured_rate_hz: float | None
    """The same of all captured frames, also of those that were dropped."""
    written_at_s: float
    """When the store took the message, by the clock of the Redis server."""
    delay_s: float
    """From capture to store; below 0 if the camera's clock is fast."""

    @property
    def is_overloaded(self) -> bool:
        """Whether clearly fewer frames are processed than captured."""
        if self.frame_rate_hz is None or self.captured_rate_hz is None:
            return False
        return self.frame_rate_hz < _NEARLY_ALL * self.captured_rate_hz


@dataclass(frozen=True, slots=True)
class StoredNotice:
    """Why a camera gave no frames, as ingest said last. No stream has begun since."""

    state: Literal["failing", "stopped"]
    reason: str | None
    """In a word, such as `login`; None for a camera that was stopped."""
    detail: str
    """In a sentence."""
    since_s: float
    """When the state began, seconds since 1970 UTC."""
    written_at_s: float
    """When the store took the notice, by the clock of the Redis server."""


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """The latest news of a camera: a frame, a notice, or both."""

    camera_id: str
    frame: FrameNews | None
    """None: no frame has come yet."""
    notice: StoredNotice | None
    """None: it gives frames, or ingest has said nothing."""
    present: int
    """How many people are there now, see `PRESENT_S`."""

    def state(self, now_s: float) -> CameraState:
        """What the news mean at `now_s`, by the clock of the Redis server."""
        frames_come = self.frame is not None and now_s - self.frame.written_at_s < SILENT_AFTER_S
        if self.notice is not None:
            if self.notice.state == "failing" and now_s - self.notice.written_at_s < NOTICE_LASTS_S:
                return "failing"
            if self.notice.state == "stopped" and not frames_come:
                return "stopped"
        return "live" if frames_come else "silent"

    def notice_at(self, now_s: float) -> StoredNotice | None:
        """The notice that the state at `now_s` comes from; None: it comes from the frames."""
        return self.notice if self.notice is not None and self.notice.state == self.state(now_s) else None

    def since_s(self, now_s: float) -> float | None:
        """When that state began, in seconds since 1970 UTC; None for a live camera."""
        if self.state(now_s) == "live":
            return None
        if (notice := self.notice_at(now_s)) is not None:
            return notice.since_s
        news = [one.written_at_s for one in (self.frame, self.notice) if one is not None]
        return max(news, default=None)


@dataclass(frozen=True, slots=True)
class StoredResult:
    """One result from the stream of a camera."""

    result: Result
    written_at_s: float
    """When Redis took it, by the clock of its server, seconds since 1970."""

    @property
    def delay_s(self) -> float:
        """From the capture of the frame until the result could be queried."""
        return self.written_at_s - self.result.captured_at_s


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a longer list."""

    items: Sequence[T]
    next: str | None
    """Asks for the following page; None on the last."""
