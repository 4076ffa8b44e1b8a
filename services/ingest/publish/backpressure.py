"""How fast complete sources may go: as fast as what comes of them is worked off."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from agegender.shared.errors import NotNow

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_AGAIN_S = 0.2
_REPEAT_LOG_S = 60.0


class Backpressure:
    """Gives room for as many frames as keep what waits in each topic under a bound.

    Kafka deletes what is older than its time, read or not, so a file that ran ahead of those who read could
    lose frames. Every frame takes a place of the room until it is known how many wait, so that the bound
    holds however fast the file is read.

    Args:
        waiting: group → how many messages wait for it; may raise NotNow, and then there is no room.
        most: the bound.
    """

    def __init__(
        self,
        waiting: Callable[[], Mapping[str, int]],
        most: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._waiting = waiting
        self._most = most
        self._clock = clock
        self._room = 0
        self._looked_at_s = -float("inf")
        self._said_at_s = -float("inf")

    def room(self) -> int:
        """How many frames of complete sources may be published now. Looks every second at most."""
        now_s = self._clock()
        if now_s >= self._looked_at_s + (_LOOK_EVERY_S if self._room else _AGAIN_S):
            self._look()
            self._looked_at_s = self._clock()
        return self._room

    def _look(self) -> None:
        self._room = 0
        try:
            waiting = self._waiting()
        except NotNow as error:
            self._say(str(error))
            return
        slowest = max(waiting, key=waiting.__getitem__)
        self._room = max(0, self._most - waiting[slowest])
        if not self._room:
            self._say(f"{waiting[slowest]} messages lie before {slowest}")

    def _say(self, reason: str) -> None:
        if self._clock() >= self._said_at_s + _REPEAT_LOG_S:
            self._said_at_s = self._clock()
            log.info("complete sources wait", extra={"reason": reason})

    def spend(self, frames: int) -> None:
        """So many were published."""
        self._room = max(0, self._room - frames)
