"""The faults that need more than a signal: too few cores, a clock that is set, a camera that goes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.services import Service

HOUR_S = 3600.0
_ON_S, _OFF_S = 0.05, 0.15  # a quarter of the time

_STEPPED_CLOCK = '''"""Adds to the time of day what the file beside this one says."""

import time
from pathlib import Path

_FILE = Path(__file__).with_name("seconds")
_time, _monotonic, _known = time.time, time.monotonic, [-1.0, 0.0]


def _ahead_s():
    if _monotonic() > _known[0] + 0.05:
        _known[:] = _monotonic(), float(_FILE.read_text() or "0")
    return _known[1]


time.time = lambda: _time() + _ahead_s()
time.time_ns = lambda: int(time.time() * 1e9)
'''


class Victim(Protocol):
    """What can be killed and halted."""

    def kill(self) -> None: ...
    def start(self) -> object: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...


class PassingCamera:
    """One that goes and comes back, with a new stream, or that shows nothing new for a while."""

    def __init__(self, simulator: CameraSimulator, name: str) -> None:
        self.kill = lambda: simulator.stop_camera(name)
        self.start = lambda: simulator.start_camera(name)
        self.freeze = lambda: simulator.stall(name)
        self.thaw = lambda: simulator.resume(name)


class Cores:
    """The cores that some services share. `take` leaves them a quarter."""

    def __init__(self, services: Iterable[Service]) -> None:
        self._services = list(services)
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def take(self) -> None:
        """From now on the services work a quarter of the time."""
        self._over.clear()
        pids = [service.pid for service in self._services if service.running]
        self._thread = threading.Thread(target=self._starve, args=(pids,))
        self._thread.start()

    def give_back(self) -> None:
        """The services have all cores again."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _starve(self, pids: list[int]) -> None:
        try:
            while not self._over.is_set():
                _signal(pids, signal.SIGCONT)
                self._over.wait(_ON_S)
                _signal(pids, signal.SIGSTOP)
                self._over.wait(_OFF_S)
        finally:
            _signal(pids, signal.SIGCONT)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


class SteppedClock:
    """The clock of one process, and of its children, which can be set while it runs.

    Args:
        folder: an empty one, which is first on the path of the process.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._file = folder / "seconds"
        self.set_ahead(0.0)
        (folder / "sitecustomize.py").write_text(_STEPPED_CLOCK)
        path = os.environ.get("PYTHONPATH")
        self.environment: Mapping[str, str] = {
            "PYTHONPATH": str(folder) if path is None else f"{folder}{os.pathsep}{path}"
        }

    def set_ahead(self, seconds: float) -> None:
        """Sets the clock so far ahead of the true time."""
        whole = self._file.with_suffix(".new")
        whole.write_text(repr(seconds))
        whole.replace(self._file)


Deeds = tuple[Callable[[], object], Callable[[], object]]
"""Begins a fault, and ends it."""
