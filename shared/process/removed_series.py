"""Takes the series of removed cameras out of the metrics, once nothing changes them any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Set

from agegender.shared.process.metrics import Metrics

_LOOK_EVERY_S = 10.0
_QUIET_S = 20.0  # messages that are still on their way change the series of their camera


class RemovedSeries:
    """Without it, the series of all cameras that a worker ever had would stay in its `/metrics`.

    Counters go too. Prometheus has them already. A camera that comes back begins at 0, as after a restart.

    Args:
        monotonic: seconds of a clock that is never set.
    """

    def __init__(self, metrics: Metrics, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._monotonic = monotonic
        self._looked_at_s = -float("inf")
        self._quiet_since: dict[str, tuple[float, float]] = {}

    def sweep(self, removed: Set[str]) -> None:
        """Removes the series of these cameras that have not changed for some seconds.

        Call it often; it looks now and then.
        """
        now_s = self._monotonic()
        if not removed or now_s < self._looked_at_s + _LOOK_EVERY_S:
            return
        self._looked_at_s = now_s
        sums = self._metrics.sum_by_camera()
        there = removed & sums.keys()
        self._quiet_since = {one: at for one, at in self._quiet_since.items() if one in there}
        for camera_id in there:
            value = sums[camera_id]
            known, since_s = self._quiet_since.get(camera_id, (value, now_s))
            if known != value:
                since_s = now_s
            self._quiet_since[camera_id] = (value, since_s)
            if now_s - since_s >= _QUIET_S:
                self._metrics.forget_camera(camera_id)
