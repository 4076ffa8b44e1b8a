"""Waiting for an outcome, the only way in which a test waits."""

from __future__ import annotations

import time
from collections.abc import Callable

_POLL_INTERVAL_S = 0.02


def wait_until(predicate: Callable[[], object], timeout_s: float, what: str) -> None:
    """Poll `predicate` until it returns something true, at least once.

    Raises TimeoutError that names `what` when `timeout_s` have passed first; what `predicate` raises passes.
    """
    deadline = time.monotonic() + timeout_s
    while not predicate():
        if time.monotonic() >= deadline:
            raise TimeoutError(f"waited {timeout_s:g} s in vain until {what}")
        time.sleep(_POLL_INTERVAL_S)
