"""Waiting for an outcome, the only way in which a test waits."""

from __future__ import annotations

import time
from collections.abc import Callable

_POLL_INTERVAL_S = 0.02
_PATIENCE = 4
_LONGEST_S = 60.0


def wait_until(predicate: Callable[[], object], timeout_s: float, what: str) -> None:
    """Poll `predicate` until it returns something true, at least once.

    `timeout_s` is plenty on a quiet machine. A busy one gets four times as long, though no more than a minute
    unless asked for: a wait tells whether something comes, not how fast.

    Raises TimeoutError that names `what` when it does not come; what `predicate` raises passes.
    """
    patience_s = max(timeout_s, min(_PATIENCE * timeout_s, _LONGEST_S))
    deadline = time.monotonic() + patience_s
    while not predicate():
        if time.monotonic() >= deadline:
            raise TimeoutError(f"waited {patience_s:g} s in vain until {what}")
        time.sleep(_POLL_INTERVAL_S)
