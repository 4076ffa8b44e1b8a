"""What the kernel says of a process and of those that it has started; Linux alone tells it all."""

from __future__ import annotations

import os
import re
from pathlib import Path

from benchmarks.soak.recording import Look
from tests.support.process_family import family_of

_PROC = Path("/proc")
_RSS = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)
_THREADS = re.compile(r"^Threads:\s+(\d+)$", re.MULTILINE)
_TICKS = os.sysconf("SC_CLK_TCK")


def can_be_watched() -> bool:
    """Whether this system tells what is needed."""
    return (_PROC / "self" / "status").exists()


def look_at(pid: int, at_s: float) -> Look:
    """Memory, files, threads and CPU time of a process and its descendants; zeros when it has ended."""
    found = [one for process in family_of(pid) if (one := _single(process, at_s)) is not None]
    return Look(
        at_s,
        sum(one.memory_mb for one in found),
        sum(one.files for one in found),
        sum(one.threads for one in found),
        sum(one.cpu_s for one in found),
    )


def _single(pid: int, at_s: float) -> Look | None:
    folder = _PROC / str(pid)
    try:
        status, numbers = (folder / "status").read_text(), (folder / "stat").read_text()
        files = sum(1 for _ in (folder / "fd").iterdir())
    except OSError:
        return None  # it has just ended
    rss, threads = _RSS.search(status), _THREADS.search(status)
    if rss is None or threads is None:
        return None
    # The name of the program, which may hold anything, ends with the last bracket (proc(5)).
    user, system = numbers.rpartition(")")[2].split()[11:13]
    return Look(at_s, int(rss[1]) / 1024, files, int(threads[1]), (int(user) + int(system)) / _TICKS)
