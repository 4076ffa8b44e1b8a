"""Picks frames out of a stream at a lower rate, and bounds those that come at a higher one."""

from __future__ import annotations


class Sampler:
    """Says of each frame whether it is due, so that `fps` frames a second are, by the stream's own clock.

    A stream slower than `fps` has all its frames picked. A clock that is set back counts as standing still
    for that one frame, and one set forward as a gap: neither stops the picking, nor starts a burst.

    Any window of T seconds holds at most `fps` * T + 2 picked frames: one more than an even rhythm has,
    because a frame that came late does not put off the ones after it.
    """

    def __init__(self, fps: float) -> None:
        self._interval_s = 1.0 / fps
        self._last_s: float | None = None
        self._passed_s = 0.0
        self._due_s = 0.0

    def pick(self, time_s: float) -> bool:
        """Whether the frame at `time_s` is to be picked. Frames come in order."""
        if self._last_s is not None:
            self._passed_s += max(0.0, time_s - self._last_s)
        self._last_s = time_s
        # A microsecond of slack: clocks of streams are fractions that do not add up exactly.
        if self._passed_s + 1e-6 < self._due_s:
            return False
        # From the time it was due, not from the time it came: else every late frame lowers the rate.
        self._due_s = max(self._due_s + self._interval_s, self._passed_s)
        return True


class ForwardTime:
    """A stream's time that only goes forward: while its own clock stands or runs backwards, ours counts."""

    def __init__(self) -> None:
        self._passed_s = 0.0
        self._stream_s: float | None = None
        self._now_s = 0.0

    def advance(self, stream_s: float, now_s: float) -> float:
        """Seconds since the first frame, of one at `stream_s` by the stream's clock and `now_s` by ours."""
        if self._stream_s is not None:
            step_s = stream_s - self._stream_s
            self._passed_s += step_s if step_s > 0 else max(0.0, now_s - self._now_s)
        self._stream_s, self._now_s = stream_s, now_s
        return self._passed_s


class Allowance:
    """So many a second and no more, by our own clock: a stream's clock may run as fast as it likes.

    Args:
        per_s: how many are allowed a second.
        at_once: how many after a rest that was long enough.
    """

    def __init__(self, per_s: float, at_once: float) -> None:
        self._per_s = per_s
        self._at_once = at_once
        self._left = at_once
        self._seen_s: float | None = None

    def take(self, now_s: float) -> float:
        """0 when one more is allowed at `now_s`, which is thereby used up; else the seconds until one is."""
        passed_s = 0.0 if self._seen_s is None else max(0.0, now_s - self._seen_s)
        self._seen_s = now_s
        self._left = min(self._at_once, self._left + passed_s * self._per_s)
        if self._left < 1:
            return (1 - self._left) / self._per_s
        self._left -= 1
        return 0.0
