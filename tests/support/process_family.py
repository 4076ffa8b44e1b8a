"""What a process and all that it has started take together, as Linux tells."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PRIVATE = re.compile(r"^Pss_(?:Anon|Shmem): +(\d+) kB$", re.MULTILINE)
_OF_FILES = re.compile(r"^RssFile:\s+(\d+) kB$", re.MULTILINE)


def can_be_told() -> bool:
    """Whether this system tells it; Linux does from 5.4 on."""
    rollup = _PROC / "self" / "smaps_rollup"
    return rollup.exists() and _PRIVATE.search(rollup.read_text()) is not None


def family_of(pid: int) -> Iterator[int]:
    """The process, and those below it that run at this moment."""
    yield pid
    try:
        children = [
            int(child)
            for thread in (_PROC / str(pid) / "task").iterdir()
            for child in (thread / "children").read_text().split()
        ]
    except OSError:
        return  # it has just ended
    for child in children:
        yield from family_of(child)


def used_cpu_s(pids: Iterable[int]) -> float:
    """CPU seconds of these processes so far. Raises OSError when one of them has ended."""
    # The name of the program, which may hold anything, ends with the last bracket (proc(5)).
    fields = [(_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split() for pid in pids]
    return sum(int(one[11]) + int(one[12]) for one in fields) / _TICKS


def memory_bytes(pids: Iterable[int]) -> int:
    """What these processes of one family have in memory together. Raises OSError when one of them has ended.

    Each page counts once, however many of them were forked with it. Programs and libraries count as far as
    the process with most of them has them loaded, even if other processes share them.
    """
    private_kb, files_kb = 0, 0
    for pid in pids:
        folder = _PROC / str(pid)
        private_kb += sum(int(found) for found in _PRIVATE.findall((folder / "smaps_rollup").read_text()))
        files = _OF_FILES.search((folder / "status").read_text())
        files_kb = max(files_kb, int(files[1]) if files else 0)
    return (private_kb + files_kb) * 1024
