"""When to look for persons who fell silent."""

from __future__ import annotations

_SWEEP_EVERY_S = 5.0
_LONGEST_BREAK_S = 10.0


class SilenceTimeout:
    """Knows since when this sink has listened without a break, and when it last swept.

    After a break (of this process, of Kafka or of Redis) news of many persons wait to be read, who are not
    silent at all. Only a sink that has listened for as long as a person may be silent can tell that one is.
    """

    def __init__(self, silent_s: float) -> None:
        self._silent_s = silent_s
        self._listening_since_s: float | None = None
        self._listened_s = 0.0
        self._swept_s = 0.0

    def is_time_to_sweep(self, now_s: float) -> bool:
        """To be asked each time when all news so far are written; True at most every few seconds."""
        had_break = not 0 <= now_s - self._listened_s <= _LONGEST_BREAK_S
        if self._listening_since_s is None or had_break:
            self._listening_since_s = now_s
            self._swept_s = float("-inf")
        self._listened_s = now_s
        if now_s - self._listening_since_s < self._silent_s or now_s - self._swept_s < _SWEEP_EVERY_S:
            return False
        self._swept_s = now_s
        return True
