"""Two cameras with twelve people that never leave, and `agegender run` with part of the CPU it needs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agegender.shared.messages.visits import Visit
from agegender.shared.process.settings import RedisSettings
from agegender.shared.store import CameraStatus, FrameNews, ResultStore, connect
from agegender.simulator.content.scenes import demo_scene
from agegender.simulator.rtsp.cameras import CameraSimulator
from benchmarks.overload.quota import CpuQuota
from tests.support.process_family import family_of, used_cpu_s
from tests.support.redis_server import RedisServer, find_redis_server
from tests.support.waiting import wait_until

CAMERAS = ("cam1", "cam2")
"""As `agegender run` names its sources."""
_STARTS_WITHIN_S = 120.0
_ENDS_WITHIN_S = 120.0
_SETTLES_S = 15.0
_LOOK_EVERY_S = 1.0


@dataclass(frozen=True)
class Counted:
    """What one run has counted."""

    share: float
    """Of the CPU that it needs."""
    cores: float
    """That it used on average."""
    people: int
    """That there were all the time."""
    visits: Sequence[Visit]
    rates_hz: Sequence[float]
    """Frames a second of each camera that were looked at, on average."""
    captured_hz: float
    """Frames a second of one camera that were captured, on average."""
    oldest_s: float
    """The longest time from the capture of a frame to the store."""

    @property
    def sure(self) -> int:
        """Visits that are not marked as unsure."""
        return sum(not visit.is_unsure for visit in self.visits)

    @property
    def is_right(self) -> bool:
        """Whether the count is off by one person at most, or the visits that are too many are marked."""
        if abs(len(self.visits) - self.people) <= 1:
            return True
        return len(self.visits) > self.people and self.sure <= self.people + 1

    @property
    def is_fair(self) -> bool:
        """Whether no camera got less than half of another one; where decoders starve, they do so unevenly."""
        return min(self.rates_hz) > 0.5 * max(self.rates_hz)


def count(share: float, cores: float | None, seconds: float, folder: Path) -> Counted:
    """Counts the people of the scene for so long.

    Args:
        share: of the CPU that is needed, for the outcome.
        cores: the most CPU seconds for each second; None: no limit.
        folder: for the log.
    """
    scene = demo_scene()
    with CameraSimulator() as simulator, _store() as url, connect(RedisSettings().at(url)) as client:
        sources = [simulator.add(name, scene.path) for name in CAMERAS]
        store = ResultStore(client)
        with _running(sources, url, folder / f"run-{share:g}.log") as process:
            wait_until(
                lambda: sum(one.frame is not None for one in store.cameras()) == len(CAMERAS),
                _STARTS_WITHIN_S,
                "both cameras work",
            )
            quota = CpuQuota(process.pid, cores) if cores is not None else contextlib.nullcontext()
            with quota:
                time.sleep(_SETTLES_S)
                used_s, began_s = used_cpu_s(family_of(process.pid)), time.monotonic()
                looks = _watched(store.cameras, seconds)
                used_s = used_cpu_s(family_of(process.pid)) - used_s
                took_s = time.monotonic() - began_s
            process.send_signal(signal.SIGINT)
            process.wait(_ENDS_WITHIN_S)
        visits = store.visits(limit=10_000).items
    by_camera = [[frame for name, frame in looks if name == wanted] for wanted in CAMERAS]
    return Counted(
        share=share,
        cores=used_s / took_s,
        people=len(CAMERAS) * scene.face_count,
        visits=visits,
        rates_hz=[_mean([one.frame_rate_hz for one in some]) for some in by_camera],
        captured_hz=_mean([one.captured_rate_hz for _, one in looks]),
        oldest_s=max(one.delay_s for _, one in looks),
    )


def _watched(look: Callable[[], Sequence[CameraStatus]], seconds: float) -> list[tuple[str, FrameNews]]:
    """The newest frame of each camera at each second."""
    looks: list[tuple[str, FrameNews]] = []
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        looks += [(one.camera_id, one.frame) for one in look() if one.frame is not None]
        time.sleep(_LOOK_EVERY_S)
    return looks


def _mean(values: Sequence[float | None]) -> float:
    known = [one for one in values if one is not None]
    return sum(known) / max(1, len(known))


@contextlib.contextmanager
def _store() -> Iterator[str]:
    server = RedisServer(find_redis_server("valkey"))
    try:
        server.start()
        yield server.url
    finally:
        server.close()


@contextlib.contextmanager
def _running(sources: Sequence[str], redis_url: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`agegender run` for these cameras. It is killed at the end of the block if it still runs."""
    environment = {**os.environ, "REDIS_URL": redis_url, "AGEGENDER_HTTP_PORT": "0"}
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "agegender", "run", *sources],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
