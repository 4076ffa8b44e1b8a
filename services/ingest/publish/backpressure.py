"""Backpressure: complete sources are read only as fast as their frames are processed."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import NamedTuple

from agegender.shared.errors import NotNow
from agegender.shared.runtime.transport import Backlog

log = logging.getLogger(__name__)

_COUNT_EVERY_S = 1.0
_RETRY_EVERY_S = 0.2
_REPEAT_LOG_S = 60.0
_WORK_S = 2.0  # the most work that lies before a live frame because of files
_LEAST_AHEAD = 8  # while the speed of detect is not known
_SPEED_OVER_S = 10.0
_AWAY_S = 8.0


class Room(NamedTuple):
    """How many frames of complete sources may be published now. Each one uses up room of both kinds."""

    cameras: int
    """Of cameras: they cannot wait, so they are closed when their buffer is full."""
    files: int


NO_ROOM = Room(0, 0)


def never() -> bool:
    """No live camera is thinned."""
    return False


class Backpressure:
    """Limits the frames of complete sources, so that the backlog of each consumer group stays bounded.

    Kafka deletes old messages, read or not. A file that ran ahead of its consumers could lose frames. Every
    published frame uses up room until the backlog is counted again, so the limit holds at any speed.

    Live frames wait behind those of files. So detect gets no more frames of files ahead than it processes in
    two seconds, and none at all while live cameras are thinned.

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
        self._done: deque[tuple[float, int]] = deque()
        self._room = NO_ROOM
        self._counted_at_s = -float("inf")
        self._logged_at_s = -float("inf")

    def room(self) -> Room:
        """How many frames of complete sources may be published now. Counts the backlog once a second."""
        now_s = self._clock()
        if now_s >= self._counted_at_s + (_COUNT_EVERY_S if self._room.cameras else _RETRY_EVERY_S):
            self._count()
            self._counted_at_s = self._clock()
        return self._room

    def _count(self) -> None:
        self._room = NO_ROOM
        try:
            backlog = self._count_backlog()
        except NotNow as error:
            self._log_once(str(error))
            return
        slowest = max(backlog, key=lambda group: backlog[group].waiting)
        room = max(0, self._max_backlog - backlog[slowest].waiting)
        self._room = Room(room, min(room, self._room_for_files(backlog[self._detect])))
        if not room:
            self._log_once(f"{backlog[slowest].waiting} messages are unread by {slowest}")

    def _room_for_files(self, detect: Backlog) -> int:
        if self._is_overloaded():
            self._log_once("live cameras come first, and they need all that detect can do")
            return 0
        speed_hz = self._speed_hz(detect.done)
        if speed_hz is None:
            return self._max_backlog
        return max(0, max(_LEAST_AHEAD, int(_WORK_S * speed_hz)) - detect.waiting)

    def _speed_hz(self, done: int | None) -> float | None:
        """Messages a second of detect, at best in the last seconds; None while it is away or never read."""
        if done is None:
            return None
        now_s = self._clock()
        self._done.append((now_s, done))
        while now_s - self._done[0][0] > _SPEED_OVER_S:
            self._done.popleft()
        speeds_hz = [
            (after - before) / (after_s - before_s)
            for (before_s, before), (after_s, after) in pairwise(self._done)
            if after_s > before_s
        ]
        is_away = now_s - self._done[0][0] > _AWAY_S and not any(speeds_hz)
        return None if is_away else max(speeds_hz, default=0.0)

    def _log_once(self, reason: str) -> None:
        if self._clock() >= self._logged_at_s + _REPEAT_LOG_S:
            self._logged_at_s = self._clock()
            log.info("complete sources wait", extra={"reason": reason})

    def spend(self, frames: int) -> None:
        """Uses up room for published frames."""
        cameras, files = self._room
        self._room = Room(max(0, cameras - frames), max(0, files - frames))
