"""How a loop spends its time: every second counts under one step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from agegender.shared.process.metrics import Metrics

LoopStep = Literal["wait", "process", "write", "commit", "hold"]
"""wait: for messages. hold: a server is down or full, until the next try. The others do the work."""
LOOP_STEPS: tuple[LoopStep, ...] = ("wait", "process", "write", "commit", "hold")


class LoopTime:
    """Counts seconds by step. Used by one thread. The sum over all steps is the time since the first."""

    def __init__(
        self, service: str, metrics: Metrics, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._counters = {step: metrics.loop_seconds.labels(service, step) for step in LOOP_STEPS}
        self._clock = clock
        self._step: LoopStep | None = None
        self._since_s = 0.0

    def turn_to(self, step: LoopStep | None) -> LoopStep | None:
        """Begins this step and returns the one before. None: nothing is counted from now on."""
        now_s = self._clock()
        before, self._step = self._step, step
        if before is not None:
            self._counters[before].inc(now_s - self._since_s)
        self._since_s = now_s
        return before
