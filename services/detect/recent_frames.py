"""The frames of the last seconds of one stream, and how many there are a second. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

_OVER_S = 5.0


class RecentFrame(NamedTuple):
    """A frame of the last seconds."""

    time_s: float
    sequence: int


class RecentFrames:
    """Keeps the frames of the last five seconds, two at least. It begins anew when the time goes back.

    Args:
        frames: to go on from, time and sequence of each.
    """

    def __init__(self, frames: Iterable[tuple[float, int]] = ()) -> None:
        self._frames = deque(RecentFrame(*one) for one in frames)

    def add(self, time_s: float, sequence: int) -> None:
        """Adds the next frame."""
        if self._frames and time_s < self._frames[-1].time_s:
            self._frames.clear()
        self._frames.append(RecentFrame(time_s, sequence))
        while len(self._frames) > 2 and time_s - self._frames[0].time_s > _OVER_S:
            self._frames.popleft()

    @property
    def frames(self) -> Sequence[RecentFrame]:
        """The frames, the newest last."""
        return tuple(self._frames)

    @property
    def newest_s(self) -> float:
        """The time of the newest frame. There must be one."""
        return self._frames[-1].time_s

    @property
    def rate_hz(self) -> float | None:
        """Frames a second; None until two frames have different times."""
        return self._per_second(len(self._frames) - 1)

    @property
    def captured_rate_hz(self) -> float | None:
        """The same of all captured frames, by their sequences: the dropped ones count as well."""
        if not self._frames:
            return None
        return self._per_second(self._frames[-1].sequence - self._frames[0].sequence)

    def _per_second(self, frames: int) -> float | None:
        over_s = self._frames[-1].time_s - self._frames[0].time_s if self._frames else 0.0
        return max(frames, 0) / over_s if over_s > 0 else None
