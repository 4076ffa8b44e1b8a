"""Picks frames out of a stream at a lower rate."""

from __future__ import annotations

_JUMP_S = 1.0


class Sampler:
    """Says of each frame whether it is due, so that `fps` frames a second are, by the stream's own clock.

    A stream slower than `fps` has all its frames picked. After a jump of the clock, in either direction, the
    next frame is due at once.
    """

    def __init__(self, fps: float) -> None:
        self._interval_s = 1.0 / fps
        self._next_s: float | None = None

    def is_due(self, time_s: float) -> bool:
        """Whether the frame at `time_s` is to be picked. Frames come in order."""
        next_s = self._next_s
        jumped = next_s is not None and abs(time_s - next_s) > self._interval_s + _JUMP_S
        if next_s is None or jumped:
            self._next_s = time_s + self._interval_s
            return True
        # A microsecond of slack: clocks of streams are fractions that do not add up exactly.
        if time_s + 1e-6 < next_s:
            return False
        # From the time it was due, not from the time it came: else every late frame lowers the rate.
        self._next_s = max(next_s + self._interval_s, time_s)
        return True
