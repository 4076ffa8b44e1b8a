"""What the store answers with, besides persons and counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from agegender.shared.messages.pipeline import Clock, Result

T = TypeVar("T")

PRESENT_S = 10.0
"""An open person who was heard of in the last so many seconds, and not seen to leave, is there now."""


@dataclass(frozen=True, slots=True)
class CameraState:
    """The newest that was heard of a camera."""

    camera_id: str
    captured_at_s: float
    """When the newest frame that is known of was taken."""
    clock: Clock
    """Whose clock `captured_at_s` is by."""
    size_wh: tuple[int, int]
    """Of the frame, in pixels."""
    frame_rate_hz: float | None
    """Frames looked at in a second of capture time; None at first, and for single pictures."""
    written_at_s: float
    """When the store took it, by the clock of the Redis server."""
    delay_s: float
    """From the capture until it could be queried; under 0 where the camera's clock runs ahead."""
    present: int
    """Open persons heard of in the last `PRESENT_S` who were not seen to leave."""


@dataclass(frozen=True, slots=True)
class StoredResult:
    """A single face as read from the stream."""

    result: Result
    written_at_s: float
    """When Redis took it, by the clock of its server, seconds since 1970."""

    @property
    def delay_s(self) -> float:
        """From the capture of the picture until the result could be queried."""
        return self.written_at_s - self.result.captured_at_s


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of many."""

    items: Sequence[T]
    next: str | None
    """What to ask for the page after this one; None where this is the last."""
