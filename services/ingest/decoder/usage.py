"""CPU time and memory of the decoder processes of a worker, as Linux reports them."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

_PROC = Path("/proc")
# Each decoder shares pages with the host that it was forked from. The proportional size divides shared pages
# among their processes. Resident memory would count them once for each camera.
_MEMORY = "smaps_rollup"
_PROPORTIONAL = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)


class DecoderUsage:
    """A collector that asks the kernel at each scrape. Without Linux's /proc it reports nothing.

    Args:
        processes: returns the process ids, that of the host first; empty while there is no host.
    """

    def __init__(self, processes: Callable[[], Sequence[int]]) -> None:
        self._processes = processes
        self._looking = threading.Lock()
        self._host = 0
        self._by_host_s = 0.0
        self._by_earlier_s = 0.0

    def describe(self) -> tuple[CounterMetricFamily, GaugeMetricFamily]:
        """The metrics without their values."""
        return (
            CounterMetricFamily(
                "agegender_decoder_cpu_seconds",
                "CPU time of the decoder processes, including those that have ended.",
            ),
            GaugeMetricFamily(
                "agegender_decoder_memory_bytes",
                "Memory of the decoder processes. Shared memory counts once.",
            ),
        )

    def collect(self) -> Sequence[Metric]:
        """The metrics with their values."""
        if not (_PROC / "self" / _MEMORY).exists():
            return ()
        cpu, memory = self.describe()
        with self._looking:
            pids = self._processes()
            cpu.add_metric([], self._cpu_s(pids))
        memory.add_metric([], sum(map(_memory_bytes, pids)))
        return cpu, memory

    def _cpu_s(self, pids: Sequence[int]) -> float:
        """CPU time so far. It never decreases, even when processes end."""
        if pids and pids[0] != self._host:
            self._by_earlier_s += self._by_host_s
            self._host, self._by_host_s = pids[0], 0.0
        # The host is read first. A decoder that ends just now is then missing this time; in the other order
        # it would count twice, because its time becomes part of the host's.
        self._by_host_s = max(self._by_host_s, sum(map(_used_s, pids)))
        return self._by_earlier_s + self._by_host_s


def _used_s(pid: int) -> float:
    """CPU time of a process and of its children that have ended."""
    # The name of the program may hold any character, and ends at the last bracket (proc_pid_stat(5)).
    ticks = _read(pid, "stat").rpartition(")")[2].split()[11:15]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def _memory_bytes(pid: int) -> int:
    found = _PROPORTIONAL.search(_read(pid, _MEMORY))
    return 0 if found is None else int(found[1]) * 1024


def _read(pid: int, name: str) -> str:
    """The text of a file in /proc; empty if the process has ended."""
    try:
        return (_PROC / str(pid) / name).read_text(errors="replace")
    except OSError:
        return ""
