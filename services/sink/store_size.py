"""Reports how full the store is, and whether it deletes keys when it is full."""

from __future__ import annotations

import logging
import time

import redis
from redis.exceptions import NoPermissionError

from agegender.shared.process.metrics import Metrics

log = logging.getLogger(__name__)

_MEASURE_EVERY_S = 10.0
_KEEPS_ALL = "noeviction"


class StoreSize:
    """Sets the metrics of the memory that the server uses, of its limit, and of what a full server does."""

    def __init__(self, client: redis.Redis, metrics: Metrics) -> None:
        self._client = client
        self._metrics = metrics
        self._due_s = 0.0
        self._policy = _KEEPS_ALL

    def measure(self) -> None:
        """Asks the server, at most every few seconds. Errors of Redis pass through.

        Without permission to ask, it logs one warning and never asks again.
        """
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        try:
            found = self._client.info("memory")
        except NoPermissionError:
            self._due_s = float("inf")
            log.warning(
                "the ACL forbids INFO, so the metrics lack the size of the store",
                extra={"service": "sink", "advice": "ACL SETUSER … +info"},
            )
            return
        self._due_s = now_s + _MEASURE_EVERY_S
        self._metrics.store_used.set(found["used_memory"])
        self._metrics.store_limit.set(found["maxmemory"])
        self._check_policy(found["maxmemory_policy"], has_limit=found["maxmemory"] > 0)

    def _check_policy(self, policy: str, *, has_limit: bool) -> None:
        """Warns once of each policy that deletes keys. Without a limit no key is ever deleted."""
        if not has_limit:
            policy = _KEEPS_ALL
        self._metrics.store_evicts.set(policy != _KEEPS_ALL)
        if policy not in (_KEEPS_ALL, self._policy):
            log.warning(
                "a full store deletes keys, and counts will then be wrong",
                extra={
                    "service": "sink",
                    "policy": policy,
                    "advice": "CONFIG SET maxmemory-policy noeviction",
                },
            )
        self._policy = policy
