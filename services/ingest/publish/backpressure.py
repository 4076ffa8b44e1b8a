"""Backpressure: complete sources are read only as fast as their frames are processed."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from agegender.shared.errors import NotNow

log = logging.getLogger(__name__)

_COUNT_EVERY_S = 1.0
_RETRY_EVERY_S = 0.2
_REPEAT_LOG_S = 60.0


class Backpressure:
    """Limits the frames of complete sources, so that the backlog of each consumer group stays bounded.

    Kafka deletes old messages, read or not. A file that ran ahead of its consumers could lose frames. Every
    published frame uses up room until the backlog is counted again, so the limit holds at any speed.

    Args:
        backlog: returns group → unread messages. May raise NotNow; then there is no room.
        max_backlog: the largest backlog of any group.
    """

    def __init__(
        self,
        backlog: Callable[[], Mapping[str, int]],
        max_backlog: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count_backlog = backlog
        self._max_backlog = max_backlog
        self._clock = clock
        self._room = 0
        self._counted_at_s = -float("inf")
        self._logged_at_s = -float("inf")

    def room(self) -> int:
        """How many frames of complete sources may be published now. Counts the backlog once a second."""
        now_s = self._clock()
        if now_s >= self._counted_at_s + (_COUNT_EVERY_S if self._room else _RETRY_EVERY_S):
            self._count()
            self._counted_at_s = self._clock()
        return self._room

    def _count(self) -> None:
        self._room = 0
        try:
            backlog = self._count_backlog()
        except NotNow as error:
            self._log_once(str(error))
            return
        slowest = max(backlog, key=backlog.__getitem__)
        self._room = max(0, self._max_backlog - backlog[slowest])
        if not self._room:
            self._log_once(f"{backlog[slowest]} messages are unread by {slowest}")

    def _log_once(self, reason: str) -> None:
        if self._clock() >= self._logged_at_s + _REPEAT_LOG_S:
            self._logged_at_s = self._clock()
            log.info("complete sources wait", extra={"reason": reason})

    def spend(self, frames: int) -> None:
        """Uses up room for published frames."""
        self._room = max(0, self._room - frames)
