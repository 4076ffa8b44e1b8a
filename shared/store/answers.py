"""What the store answers with, besides visits and counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from agegender.shared.messages.pipeline import Clock, Result

T = TypeVar("T")

PRESENT_S = 10.0
"""A person is there now if the visit is open, had a message in the last 10 s, and its end was not seen."""


@dataclass(frozen=True, slots=True)
class CameraStatus:
    """The latest news of a camera."""

    camera_id: str
    captured_at_s: float
    """When its newest frame was captured, seconds since 1970 UTC."""
    clock: Clock
    """The clock of `captured_at_s`."""
    size_wh: tuple[int, int]
    """Of the frame, in pixels."""
    frame_rate_hz: float | None
    """Frames processed per second of capture time; None at first, and for single pictures."""
    written_at_s: float
    """When the store took the message, by the clock of the Redis server."""
    delay_s: float
    """From capture to store; below 0 if the camera's clock is fast."""
    present: int
    """How many people are there now, see `PRESENT_S`."""


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
