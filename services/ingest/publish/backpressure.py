"""Backpressure: complete sources are read only as fast as their frames are processed."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from itertools import pairwise

from agegender.shared.errors import NotNow
from agegender.shared.runtime.transport import Backlog

log = logging.getLogger(__name__)

_COUNT_EVERY_S = 1.0
_RETRY_EVERY_S = 0.2
_REPEAT_LOG_S = 60.0
_WORK_S = 2.0  # the most work that lies before a live frame because of files
_LEAST_ROOM = 8  # while the speed of detect is not known
_SPEEDS_KEPT = 10


def never() -> bool:
    """No live camera is thinned."""
    return False


class Backpressure:
    """Limits the frames of complete sources, so that the backlog of each consumer group stays bounded.

    Kafka deletes old messages, read or not. A file that ran ahead of its consumers could lose frames. Every
    published frame uses up room until the backlog is counted again, so the limit holds at any speed.

    Live frames wait behind those of files. So detect gets no more frames ahead than it processes in two
    seconds, and none at all while live cameras are thinned.

    Args:
        backlog: returns the backlog of each group. May raise NotNow; then there is no room.
        max_backlog: the largest backlog of any group.
        detect: the group that reads the frames.
        is_overloaded: whether live cameras are thinned.
    """

    def __init__(
        self,
        backlog: Callable[[], Mapping[str, Backlog]],
        max_backlog: int,
        detect: str,
        is_overloaded: Callable[[], bool] = never,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._count_backlog = backlog
        self._max_backlog = max_backlog
        self._detect = detect
        self._is_overloaded = is_overloaded
        self._clock = clock
        self._done: deque[tuple[float, int]] = deque(maxlen=_SPEEDS_KEPT)
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
        if self._is_overloaded():
            self._log_once("live cameras come first, and they need all that detect can do")
            return
        rooms = {group: max(0, self._limit(group, one.done) - one.waiting) for group, one in backlog.items()}
        slowest = min(rooms, key=rooms.__getitem__)
        self._room = rooms[slowest]
        if not self._room and backlog[slowest].waiting >= self._max_backlog:
            self._log_once(f"{backlog[slowest].waiting} messages are unread by {slowest}")

    def _limit(self, group: str, done: int | None) -> int:
        """The most messages that may wait for the group. One that never read delays no live frames."""
        if group != self._detect or done is None:
            return self._max_backlog
        self._done.append((self._clock(), done))
        speeds_hz = [
            (after - before) / (after_s - before_s)
            for (before_s, before), (after_s, after) in pairwise(self._done)
            if after_s > before_s
        ]
        return min(self._max_backlog, max(_LEAST_ROOM, int(_WORK_S * max(speeds_hz, default=0.0))))

    def _log_once(self, reason: str) -> None:
        if self._clock() >= self._logged_at_s + _REPEAT_LOG_S:
            self._logged_at_s = self._clock()
            log.info("complete sources wait", extra={"reason": reason})

    def spend(self, frames: int) -> None:
        """Uses up room for published frames."""
        self._room = max(0, self._room - frames)
