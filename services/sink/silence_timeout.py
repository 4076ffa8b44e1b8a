"""When the sink may close visits that have timed out."""

from __future__ import annotations

_SWEEP_EVERY_S = 5.0
_LONGEST_BREAK_S = 10.0


class SilenceTimeout:
    """Knows how long this sink has listened without a break, and when it last swept.

    After a break (of this process, of Kafka or of Redis) unread messages may exist, so no visit may time out
    yet. The sink must first listen without a break for as long as the timeout itself.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._listening_since_s: float | None = None
        self._listened_s = 0.0
        self._swept_s = 0.0

    def claim_sweep(self, now_s: float) -> bool:
        """Notes that all messages up to `now_s` are written. True if a sweep is due, and notes it as done.

        Call it after each write. It returns True at most every few seconds.
        """
        had_break = not 0 <= now_s - self._listened_s <= _LONGEST_BREAK_S
        if self._listening_since_s is None or had_break:
            self._listening_since_s = now_s
            self._swept_s = float("-inf")
        self._listened_s = now_s
        if now_s - self._listening_since_s < self._timeout_s or now_s - self._swept_s < _SWEEP_EVERY_S:
            return False
        self._swept_s = now_s
        return True
