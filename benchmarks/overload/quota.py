"""Gives a process and all that it has started a share of a core, by stopping and continuing them. Linux."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from types import TracebackType

from tests.support.process_family import family_of, used_cpu_s

_LOOK_EVERY_S = 0.02
_SAVED_S = 0.1  # of unused time; more of it would be spent in one burst


class CpuQuota:
    """Stops a family of processes while it has used more than its share. To be used as a context manager.

    It needs no rights and no cgroup, and the share is the same on a busy machine.

    Args:
        cores: CPU seconds for each second.
    """

    def __init__(self, pid: int, cores: float) -> None:
        self._pid = pid
        self._cores = cores
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> CpuQuota:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._signal(signal.SIGCONT)

    def _run(self) -> None:
        used_s, seen_s, left_s, is_stopped = self._used_s(0.0), time.monotonic(), 0.0, False
        while not self._over.wait(_LOOK_EVERY_S):
            before_s, used_s = used_s, self._used_s(used_s)
            now_s = time.monotonic()
            left_s = min(_SAVED_S, left_s + self._cores * (now_s - seen_s)) - max(0.0, used_s - before_s)
            seen_s = now_s
            if (left_s < 0) != is_stopped:
                is_stopped = left_s < 0
                self._signal(signal.SIGSTOP if is_stopped else signal.SIGCONT)

    def _used_s(self, before_s: float) -> float:
        """CPU time so far; that of a process that has just ended stays unknown for one look."""
        try:
            return used_cpu_s(family_of(self._pid))
        except OSError:
            return before_s

    def _signal(self, number: signal.Signals) -> None:
        for pid in family_of(self._pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
