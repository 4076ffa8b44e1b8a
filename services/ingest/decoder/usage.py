"""What the decoder processes of a worker use, as Linux tells."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

_PROC = Path("/proc")
# Each decoder maps the code and the data of the process that it was forked from: of pages that several
# processes share, each is given its part. Resident memory would count them once for each camera.
_MEMORY = "smaps_rollup"
_PROPORTIONAL = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)


class DecoderUsage:
    """Asks the kernel when the metrics are asked for. Tells nothing on systems that do not say it.

    Args:
        processes: the ids of the processes, first that of the one that decoders are forked from; empty while
            there is none.
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
                "CPU time of the processes that decode cameras, also of those that have ended.",
            ),
            GaugeMetricFamily(
                "agegender_decoder_memory_bytes",
                "Memory of the processes that decode cameras; what they share counts once.",
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
        """Never less than before: what was used is not given back, whoever ends."""
        if pids and pids[0] != self._host:
            self._by_earlier_s += self._by_host_s
            self._host, self._by_host_s = pids[0], 0.0
        # The host comes first. So a decoder that ends just now, and becomes part of what the host has used,
        # is missing this time; the other way round it would count twice.
        self._by_host_s = max(self._by_host_s, sum(map(_used_s, pids)))
        return self._by_earlier_s + self._by_host_s


def _used_s(pid: int) -> float:
    """CPU time of a process and of those children that have ended and that it has waited for."""
    # The name of the program, which may hold anything, ends with the last bracket (proc_pid_stat(5)).
    ticks = _read(pid, "stat").rpartition(")")[2].split()[11:15]
    return sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


def _memory_bytes(pid: int) -> int:
    found = _PROPORTIONAL.search(_read(pid, _MEMORY))
    return 0 if found is None else int(found[1]) * 1024


def _read(pid: int, name: str) -> str:
    """Empty when the process has ended."""
    try:
        return (_PROC / str(pid) / name).read_text(errors="replace")
    except OSError:
        return ""
