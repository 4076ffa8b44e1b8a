"""How busy the whole machine is, as Linux tells it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_STAT = Path("/proc/stat")
_IDLE = (3, 4)  # idle, and waiting for a disk


def _busy_s() -> float:
    """Seconds that all cores together have worked since the machine was started; 0 where it does not tell."""
    if not _STAT.exists():
        return 0.0
    ticks = [int(word) for word in _STAT.read_text().splitlines()[0].split()[1:9]]
    working = sum(number for place, number in enumerate(ticks) if place not in _IDLE)
    return working / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def busy_cores() -> Iterator[Callable[[], float]]:
    """After the block, its result says how many cores were busy on average, for all programs together."""
    busy_s, started_s = _busy_s(), time.monotonic()
    result = [0.0]
    yield lambda: result[0]
    result[0] = (_busy_s() - busy_s) / (time.monotonic() - started_s)
