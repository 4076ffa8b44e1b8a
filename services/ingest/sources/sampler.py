"""Picks frames from a stream at a wanted rate, and limits streams that are faster than allowed."""

from __future__ import annotations


class Sampler:
    """Picks `fps` frames a second, by the clock of the stream.

    All frames of a slower stream are picked. If the clock is set back, it counts as standing still for one
    frame. If it is set forward, that counts as a gap. Neither stops the picking nor starts a burst.

    Any T seconds hold at most `fps` * T + 2 picked frames. That is one more than an even rhythm has, because
    a late frame does not delay the next ones.
    """

    def __init__(self, fps: float) -> None:
        self._interval_s = 1.0 / fps
        self._last_s: float | None = None
        self._passed_s = 0.0
        self._due_s = 0.0

    def pick(self, time_s: float) -> bool:
        """True when the frame at `time_s` is picked. Call it once for each frame, in their order."""
        if self._last_s is not None:
            self._passed_s += max(0.0, time_s - self._last_s)
        self._last_s = time_s
        # A microsecond of slack, because fractions of a second do not add up exactly.
        if self._passed_s + 1e-6 < self._due_s:
            return False
        # Counted from when it was due, not from when it came: else every late frame lowers the rate.
        self._due_s = max(self._due_s + self._interval_s, self._passed_s)
        return True


class ForwardTime:
    """The time of a stream that only goes forward. While its clock stands or runs back, ours counts."""

    def __init__(self) -> None:
        self._passed_s = 0.0
        self._stream_s: float | None = None
        self._now_s = 0.0

    def advance(self, stream_s: float, now_s: float) -> float:
        """Goes on to a frame at `stream_s` by the stream's clock and `now_s` by ours.

        Returns the seconds since the first frame.
        """
        if self._stream_s is not None:
            step_s = stream_s - self._stream_s
            self._passed_s += step_s if step_s > 0 else max(0.0, now_s - self._now_s)
        self._stream_s, self._now_s = stream_s, now_s
        return self._passed_s


class Allowance:
    """A token bucket by our own clock: it limits even a stream with a wrong clock.

    Args:
        per_s: how many are allowed a second.
        at_once: how many are allowed at once after a long enough rest.
    """

    def __init__(self, per_s: float, at_once: float) -> None:
        self._per_s = per_s
        self._at_once = at_once
        self._left = at_once
        self._seen_s: float | None = None

    def take(self, now_s: float) -> float:
        """Takes one and returns 0, or returns the seconds until one is allowed."""
        passed_s = 0.0 if self._seen_s is None else max(0.0, now_s - self._seen_s)
        self._seen_s = now_s
        self._left = min(self._at_once, self._left + passed_s * self._per_s)
        if self._left < 1:
            return (1 - self._left) / self._per_s
        self._left -= 1
        return 0.0
