"""How a loop spends its time: every moment is counted under one step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from agegender.shared.process.metrics import Metrics

Step = Literal["wait", "process", "write", "commit", "hold"]
"""wait: for messages. hold: a server is away or full, until the next try. The others do the work."""
STEPS: tuple[Step, ...] = ("wait", "process", "write", "commit", "hold")


class LoopTime:
    """Used by one thread. The sum over all steps is the time since the first of them."""

    def __init__(
        self, service: str, metrics: Metrics, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._counters = {step: metrics.loop_seconds.labels(service, step) for step in STEPS}
        self._clock = clock
        self._step: Step | None = None
        self._since_s = 0.0

    def turn_to(self, step: Step | None) -> Step | None:
        """Ends the step before, which is returned, and begins this one; None: nothing is counted."""
        now_s = self._clock()
        before, self._step = self._step, step
        if before is not None:
            self._counters[before].inc(now_s - self._since_s)
        self._since_s = now_s
        return before
