"""How full the store is."""

from __future__ import annotations

import logging
import time

import redis
from redis.exceptions import NoPermissionError

from agegender.shared.process.metrics import Metrics

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 10.0


class StoreSize:
    """Tells the metrics how much memory the server uses and how much it may."""

    def __init__(self, client: redis.Redis, metrics: Metrics) -> None:
        self._client = client
        self._metrics = metrics
        self._due_s = 0.0

    def look(self) -> None:
        """Asks the server, at most every few seconds; what it raises passes.

        A user who may not ask is told so once, and nobody asks again.
        """
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        try:
            found = self._client.info("memory")
        except NoPermissionError:
            self._due_s = float("inf")
            advice = "ACL SETUSER … +info"
            log.warning(
                "how full the store is will not be known", extra={"service": "sink", "advice": advice}
            )
            return
        self._due_s = now_s + _LOOK_EVERY_S
        self._metrics.store_used.set(found["used_memory"])
        self._metrics.store_limit.set(found["maxmemory"])
