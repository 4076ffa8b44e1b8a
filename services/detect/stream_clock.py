"""When the frames of one stream were taken, and how many a second there are. Pure."""

from __future__ import annotations

from collections import deque

from services.detect.camera_state import ClockState
from shared.messages import FrameInfo

_RATE_OVER_S = 5.0
_NEW = ClockState()


class StreamClock:
    """The time of each frame of one stream.

    The frames of a video file are read as fast as they can be worked on, which says nothing about how long
    anybody was there. They are timed as if the file had been played from the moment it was opened.

    Args:
        state: of the clock that this one goes on from.
    """

    def __init__(self, state: ClockState = _NEW) -> None:
        self._file_began_s = state.file_began_s
        self._latest_s = deque(state.latest_s)

    def state(self) -> ClockState:
        """All that this clock knows."""
        return ClockState(file_began_s=self._file_began_s, latest_s=tuple(self._latest_s))

    def advance(self, info: FrameInfo) -> float:
        """The time of the next frame, in seconds since 1970."""
        now_s = info.captured_at_s
        if info.media_time_s is not None:
            if self._file_began_s is None:
                self._file_began_s = max(0.0, info.captured_at_s - info.media_time_s)
            now_s = self._file_began_s + info.media_time_s
        if self._latest_s and now_s < self._latest_s[-1]:
            self._latest_s.clear()
        self._latest_s.append(now_s)
        while len(self._latest_s) > 2 and now_s - self._latest_s[0] > _RATE_OVER_S:
            self._latest_s.popleft()
        return now_s

    @property
    def now_s(self) -> float:
        """The time of the newest frame."""
        return self._latest_s[-1]

    @property
    def rate_hz(self) -> float | None:
        """Frames a second over the last five; None where there are not two yet."""
        over_s = self._latest_s[-1] - self._latest_s[0] if self._latest_s else 0.0
        return round((len(self._latest_s) - 1) / over_s, 2) if over_s > 0 else None
