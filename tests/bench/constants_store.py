"""What the store takes and costs, and how much memory each kind of worker has."""

from __future__ import annotations

import importlib
import multiprocessing
import resource
import sys
import tempfile
from collections.abc import Callable
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import NamedTuple

import redis
from prometheus_client import CollectorRegistry

from agegender.planning.constants import MemoryCosts, StoreCosts
from services.classify.config import ClassifySettings
from services.detect.config import DetectSettings
from services.ingest.camera_source import CameraSource
from services.ingest.captured import Captured
from services.ingest.config import IngestSettings
from services.sink.config import SinkSettings
from services.sink.redis_store import RedisStore
from shared.cameras import Camera
from shared.embedded_store import EmbeddedStore
from shared.metrics import Metrics
from shared.settings import RedisSettings
from shared.store import connect
from tests.bench.clip import faces_of, frames_of
from tests.bench.store import side_by_side, write

_FEW, _MANY = 1_000, 5_000
_MANY_CAMERAS, _PERSONS_OF_EACH = 500, 10
_CAMERAS = 5
_PATIENCE_S = 120.0
_FEW_FPS = 1.0  # pictures in hand would be taken for what the worker needs


class _Day(NamedTuple):
    used_bytes: float
    message_ms: float
    sink_ms: float
    redis_ms: float


def store_costs() -> StoreCosts:
    """A day of few persons and one of many tell apart what a camera takes and what a person does."""
    few_bytes, many_bytes = _day(_FEW, 1).used_bytes, _day(_MANY, 1).used_bytes
    person_bytes = (many_bytes - few_bytes) / (_MANY - _FEW)
    wide = _day(_PERSONS_OF_EACH, _MANY_CAMERAS)
    return StoreCosts(
        message_ms=wide.message_ms,
        sink_ms=wide.sink_ms,
        redis_ms=wide.redis_ms,
        camera_bytes=max(0.0, few_bytes - _FEW * person_bytes),
        person_bytes=person_bytes,
    )


def _day(persons: int, cameras: int) -> _Day:
    """What the server holds afterwards in bytes; CPU ms for each message, of the sink and of the server."""
    with (
        tempfile.TemporaryDirectory(prefix="agegender-bench-") as folder,
        EmbeddedStore(Path(folder, "store"), maxmemory_bytes=2**31) as server,
    ):
        output = RedisStore(
            connect(RedisSettings().at(server.url)), SinkSettings(), Metrics(CollectorRegistry())
        )
        output.open()
        with connect(RedisSettings().at(server.url)) as client:
            before, cpu_before_s = int(client.info("memory")["used_memory"]), _server_cpu_s(client)
            number, wall_s, sink_s = write(output, side_by_side(cameras, persons))
            used = int(client.info("memory")["used_memory"]) - before
            server_s = _server_cpu_s(client) - cpu_before_s
        output.close()
    return _Day(used, *(one * 1000 / number for one in (wall_s, sink_s, server_s)))


def _server_cpu_s(client: redis.Redis) -> float:
    told = client.info("cpu")
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


def memory_costs(clip: Path) -> MemoryCosts:
    """The most that each worker took, each in a process of its own."""
    one, several = _peak_mb(_ingest, clip, 1), _peak_mb(_ingest, clip, _CAMERAS)
    camera_mb = max(0.0, several - one) / (_CAMERAS - 1)
    return MemoryCosts(
        ingest_mb=max(0.0, one - camera_mb),
        ingest_camera_mb=camera_mb,
        detect_mb=_peak_mb(_detect, clip, 1),
        classify_mb=_peak_mb(_classify, clip, 1),
        sink_mb=_peak_mb(_sink, clip, 1),
    )


def _peak_mb(work: Callable[[Path, int], None], clip: Path, number: int) -> float:
    context = multiprocessing.get_context("spawn")
    answers: SimpleQueue[float] = context.SimpleQueue()
    process = context.Process(target=_tell_peak, args=(work, clip, number, answers))
    process.start()
    process.join(_PATIENCE_S)
    if answers.empty():
        process.kill()
        raise RuntimeError(f"{work.__name__} told nothing within {_PATIENCE_S:g} s")
    return answers.get()


def _tell_peak(
    work: Callable[[Path, int], None], clip: Path, number: int, answers: SimpleQueue[float]
) -> None:
    work(clip, number)
    answers.put(_own_peak_bytes() / 1e6)


def _own_peak_bytes() -> int:
    # Linux hands the peak of whoever started a process on to it in getrusage, but not in this file.
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _ingest(clip: Path, cameras: int) -> None:
    importlib.import_module("services.ingest.__main__")
    chosen = [Camera(id=f"cam{number}", source=str(clip), fps=5.0) for number in range(cameras)]
    source = CameraSource(chosen, IngestSettings(), Metrics(CollectorRegistry()))
    stage = IngestSettings().stage()
    source.open()
    while not source.exhausted:
        stage.process([one.message for one in source.poll(8, 0.5) if isinstance(one.message, Captured)])
    source.close()


def _detect(clip: Path, _number: int) -> None:
    importlib.import_module("services.detect.__main__")
    DetectSettings().stage().process(frames_of(clip, _FEW_FPS))


def _classify(clip: Path, _number: int) -> None:
    importlib.import_module("services.classify.__main__")
    ClassifySettings().stage().judge(faces_of(frames_of(clip, _FEW_FPS)))


def _sink(_clip: Path, _number: int) -> None:
    importlib.import_module("services.sink.__main__")
    _day(200, 1)
