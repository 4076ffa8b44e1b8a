"""`python -m benchmarks.reliability.decoder_ways`: what it costs to keep cameras apart, in each of four ways.

    threads    in threads of the worker: nothing is kept apart
    groups     a process of its own for every eight cameras, with a thread each
    started    a process of its own for each camera, started like any program
    forked     a process of its own for each camera, forked from one that has FFmpeg loaded: what ingest does

Each way has a worker of its own for each number of cameras, which takes frames as the runner does. The
cameras are simulated by this process, and do not count.
"""

from __future__ import annotations

import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import Annotated

import typer
from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from agegender.services.ingest import camera_source
from agegender.services.ingest.camera_clock import ClockTrust
from agegender.services.ingest.camera_source import CameraSource
from agegender.services.ingest.config import IngestSettings
from agegender.services.ingest.decoder.client import DecoderPool, DecoderProcess
from agegender.services.ingest.decoder.protocol import Order, send
from agegender.services.ingest.sources.rtsp.connection import open_rtsp, url_with_login
from agegender.services.ingest.sources.rtsp.stream import RtspStream
from agegender.services.ingest.sources.stream import (
    CapturedFrame,
    OpenStream,
    Skipped,
    StreamFrame,
    Waiting,
    Wanted,
)
from agegender.shared.cameras.camera import Camera
from agegender.shared.process.metrics import Metrics
from agegender.simulator.content.clips import make_clip
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.process_family import family_of, used_cpu_s

WAYS = ("threads", "groups", "started", "forked")
_GROUP = 8
_MOST_SETTLE_S, _SETTLED_AGE_S = 60.0, 0.15
_POLL_S = 0.05
_DECODE = """
import socket, sys, threading
from agegender.services.ingest.decoder.child import run
for connection in sys.argv[1:]:
    threading.Thread(target=run, args=(socket.socket(fileno=int(connection)),)).start()
"""
app = typer.Typer(add_completion=False)


class InThread:
    """A camera decoded by the thread that reads it, as `stream.Stream`."""

    def __init__(self, camera: Camera, settings: IngestSettings, _wanted: Wanted) -> None:
        self._trust = ClockTrust(camera.id)
        limits = {"no_frame_s": settings.no_frame_s}
        opened = open_rtsp(url_with_login(camera), **limits, answer_s=settings.answer_s)
        self._stream = RtspStream(opened, **limits, keyframe_s=settings.keyframe_s)

    def frames(self) -> Iterator[StreamFrame | Waiting | Skipped]:
        """See `stream.Stream`."""
        for one in self._stream.frames():
            if isinstance(one, Waiting | Skipped):
                yield one
                continue
            camera_s = one.camera_time_s
            if camera_s is not None and self._trust.admit(camera_s, one.captured_at_s):
                yield StreamFrame(one.time_s, camera_s, "camera", one.picture)
            else:
                yield StreamFrame(one.time_s, one.captured_at_s, "arrival", one.picture)

    def close(self) -> None:
        """See `stream.Stream`."""
        self._stream.close()


class Programs(DecoderPool):
    """DecoderPool that are started like any program, each with threads for `size` cameras.

    Args:
        cameras: how many there will be.
    """

    def __init__(self, size: int, cameras: int) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._pairs: list[socket.socket] = []
        self._left = cameras
        self._size = size
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, order: Order) -> DecoderProcess:
        """See `DecoderPool.start`."""
        with self._lock:
            if not self._pairs:
                self._start_program(min(self._size, max(1, self._left)))
                self._left -= len(self._pairs)
            ours = self._pairs.pop()
        send(ours, order)
        return DecoderProcess(_Nobody(), 0, ours)  # type: ignore[arg-type]

    def _start_program(self, cameras: int) -> None:
        with ExitStack() as stack:
            pairs = [socket.socketpair() for _ in range(cameras)]
            theirs = [stack.enter_context(pair[1]).fileno() for pair in pairs]
            self.running.append(
                subprocess.Popen(
                    [sys.executable, "-c", _DECODE, *map(str, theirs)],
                    pass_fds=theirs,
                    env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
                )
            )
            self._pairs = [pair[0] for pair in pairs]

    def close(self) -> None:
        """See `DecoderPool.close`."""
        for one in self.running:
            one.kill()
            one.wait()


class _Nobody:
    def end(self, _pid: int) -> int:
        return 0


@app.command()
def work(way: str, seconds: float, urls: list[str]) -> None:
    """One worker: takes frames for so long, and prints what that cost."""
    cameras = [Camera(id=f"cam{n}", source=url) for n, url in enumerate(urls)]
    size = {"groups": _GROUP, "started": 1}.get(way)
    programs = None if size is None else Programs(size, len(cameras))
    usual = camera_source._opener

    def opener(camera: Camera, settings: IngestSettings, decoders: DecoderPool) -> OpenStream:
        if way == "threads":
            return partial(InThread, camera, settings)
        return usual(camera, settings, programs or decoders)

    camera_source._opener = opener
    source = CameraSource(cameras, IngestSettings(no_frame_s=60, hung_s=60), Metrics(CollectorRegistry()))
    before_cpu_s, started_s = used_cpu_s(_family()), time.monotonic()
    source.open()
    up: set[str] = set()
    while len(up) < len(cameras):
        up |= {camera_id for camera_id, _ in _take(source)}
    start_s, start_cpu_s = time.monotonic() - started_s, used_cpu_s(_family()) - before_cpu_s
    settled_s = time.monotonic() + _MOST_SETTLE_S
    # What piled up while all started is read faster than it comes, at first.
    while time.monotonic() < settled_s and median(_take_for(source, 1.0) or [1.0]) > _SETTLED_AGE_S:
        pass
    family = _family()
    cpu_s, begun_s = used_cpu_s(family), time.monotonic()
    ages_s = _take_for(source, seconds)
    passed_s = time.monotonic() - begun_s
    end_cpu_s = used_cpu_s(family)
    found = {
        "start_s": start_s,
        "start_cpu_s": start_cpu_s,
        "cpu": (end_cpu_s - cpu_s) / passed_s,
        "memory_mb": _memory_mb(family),
        "age_ms": 1000 * median(ages_s),
        "late_ms": 1000 * quantiles(ages_s, n=20)[-1],
        "fps": len(ages_s) / passed_s / len(cameras),
    }
    print(json.dumps(found), flush=True)  # noqa: T201
    source.close()
    if programs is not None:
        programs.close()


def _take_for(source: CameraSource, seconds: float) -> list[float]:
    until_s, ages_s = time.monotonic() + seconds, []
    while time.monotonic() < until_s:
        ages_s += [age_s for _, age_s in _take(source)]
    return ages_s


def _take(source: CameraSource) -> list[tuple[str, float]]:
    """Camera and age of each frame that lay there."""
    taken = [one.message for one in source.poll(64, _POLL_S)]
    source.commit()
    return [
        (one.camera_id, time.time() - one.captured_at_s) for one in taken if isinstance(one, CapturedFrame)
    ]


def _family() -> list[int]:
    """This process and all below it."""
    return list(family_of(os.getpid()))


def _memory_mb(pids: Iterable[int]) -> float:
    """What is shared, by equal parts."""
    rollups = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in pids]
    return sum(int(one.split("Pss:")[1].split()[0]) for one in rollups) / 1024


@app.command()
def compare(
    cameras: Annotated[list[int] | None, typer.Option(help="How many; 1, 8 and 32 unless told.")] = None,
    seconds: Annotated[float, typer.Option(help="Of each measurement.")] = 8.0,
    rounds: Annotated[int, typer.Option(help="Of which the fastest counts.")] = 2,
    size: Annotated[str, typer.Option(help="Of the pictures, at 25 frames a second.")] = "640x360",
    ways: Annotated[list[str] | None, typer.Option(help="All unless told; threads first.")] = None,
) -> None:
    """All ways in turn, and the ratios to threads."""
    width, height = (int(part) for part in size.split("x"))
    results: dict[tuple[int, str], list[dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder, CameraSimulator() as simulator:
        clip = Path(folder) / "clip.mp4"
        make_clip(clip, (), size_wh=(width, height), seconds=1)
        counts = cameras or [1, 8, 32]
        urls = [simulator.add(f"cam{n}", clip) for n in range(max(counts))]
        for _, count, way in itertools.product(range(rounds), counts, ways or WAYS):
            done = subprocess.run(
                [sys.executable, "-m", __spec__.name, "work", way, str(seconds), *urls[:count]],
                stdout=subprocess.PIPE,
                check=True,
            )
            results.setdefault((count, way), []).append(json.loads(done.stdout))
    _print(results)


def _print(results: dict[tuple[int, str], list[dict[str, float]]]) -> None:
    table = Table(title="in brackets: the ratio to threads")
    for title in ("cameras", "way", "CPU, cores", "memory, MB", "up after, s", "CPU s till then"):
        table.add_column(title, justify="right")
    for title in ("age, ms", "of 1 in 20", "frames/s"):
        table.add_column(title, justify="right")
    for (count, way), measured in results.items():
        best = {name: min(one[name] for one in measured) for name in measured[0]}
        threads = {name: min(one[name] for one in results[count, "threads"]) for name in best}
        cells = [
            f"{best[name]:{form}} ({best[name] / threads[name]:.2f})"
            for name, form in (
                ("cpu", ".2f"),
                ("memory_mb", ".0f"),
                ("start_s", ".1f"),
                ("start_cpu_s", ".1f"),
                ("age_ms", ".0f"),
                ("late_ms", ".0f"),
            )
        ]
        table.add_row(str(count), way, *cells, f"{best['fps']:.2f}")
    Console(width=130).print(table)


if __name__ == "__main__":
    app()
