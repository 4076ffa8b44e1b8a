"""How long to wait for the answers of one camera. Pure."""

from __future__ import annotations

_LEAST_S = 1.5
_TIMES = 3.0
_FULL_EVERY = 8


class AnswerPatience:
    """Waits short for a camera that has answered quickly before, so that its return is noticed at once.

    Some cameras need half a minute for an answer. If all were waited for that long, a camera that was
    switched off while it answered would be tried again too late. Every eighth try waits the whole time,
    because a camera may have become slower.

    Args:
        longest_s: the whole time.
    """

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s
        self._usual_s: float | None = None
        self._tries = 0

    def next_s(self) -> float:
        """The time limit for the answers of the next try."""
        self._tries += 1
        if self._usual_s is None or self._tries % _FULL_EVERY == 0:
            return self._longest_s
        return min(self._longest_s, max(_LEAST_S, _TIMES * self._usual_s))

    def answered(self, after_s: float) -> None:
        """Takes note that the camera was open after so many seconds."""
        self._usual_s, self._tries = after_s, 0
