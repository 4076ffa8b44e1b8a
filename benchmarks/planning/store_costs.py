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

from agegender.commands.plan.constants import MemoryCosts, StoreCosts
from agegender.services.classify.build import build_classify_stage
from agegender.services.classify.config import ClassifySettings
from agegender.services.detect.build import build_detect_stage
from agegender.services.detect.config import DetectSettings
from agegender.services.sink.config import SinkSettings
from agegender.services.sink.redis_store import RedisStore
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import RedisSettings
from agegender.shared.store import connect
from agegender.shared.store.embedded import EmbeddedStore
from benchmarks.planning.ingest_costs import worker_and_camera_mb
from benchmarks.throughput.clip import faces_of, frames_of
from benchmarks.throughput.store import side_by_side, write
from tests.support.process_family import can_be_told

_FEW, _MANY = 1_000, 5_000
_MANY_CAMERAS, _VISITS_OF_EACH = 500, 10
_PATIENCE_S = 120.0
_FEW_FPS = 1.0  # pictures in hand would be taken for what the worker needs


class _Day(NamedTuple):
    used_bytes: float
    message_ms: float
    sink_ms: float
    redis_ms: float


def store_costs() -> StoreCosts:
    """A day with few visits and one with many separate the cost of a camera from the cost of a visit."""
    few_bytes, many_bytes = _day(_FEW, 1).used_bytes, _day(_MANY, 1).used_bytes
    visit_bytes = (many_bytes - few_bytes) / (_MANY - _FEW)
    wide = _day(_VISITS_OF_EACH, _MANY_CAMERAS)
    return StoreCosts(
        message_ms=wide.message_ms,
        sink_ms=wide.sink_ms,
        redis_ms=wide.redis_ms,
        camera_bytes=max(0.0, few_bytes - _FEW * visit_bytes),
        visit_bytes=visit_bytes,
    )


def _day(visits: int, cameras: int) -> _Day:
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
            number, wall_s, sink_s = write(output, side_by_side(cameras, visits))
            used = int(client.info("memory")["used_memory"]) - before
            server_s = _server_cpu_s(client) - cpu_before_s
        output.close()
    return _Day(used, *(one * 1000 / number for one in (wall_s, sink_s, server_s)))


def _server_cpu_s(client: redis.Redis) -> float:
    told = client.info("cpu")
    return float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


def memory_costs(clip: Path, shipped: MemoryCosts) -> MemoryCosts:
    """The most that each worker took, each in a process of its own; `shipped` where that cannot be told."""
    worker_mb, camera_mb = shipped.ingest_mb, shipped.ingest_camera_mb
    if can_be_told():
        worker_mb, camera_mb = worker_and_camera_mb(clip)
    return MemoryCosts(
        ingest_mb=worker_mb,
        ingest_camera_mb=camera_mb,
        detect_mb=_peak_mb(_detect, clip),
        classify_mb=_peak_mb(_classify, clip),
        sink_mb=_peak_mb(_sink, clip),
    )


def _peak_mb(work: Callable[[Path], None], clip: Path) -> float:
    context = multiprocessing.get_context("spawn")
    answers: SimpleQueue[float] = context.SimpleQueue()
    process = context.Process(target=_tell_peak, args=(work, clip, answers))
    process.start()
    process.join(_PATIENCE_S)
    if answers.empty():
        process.kill()
        raise RuntimeError(f"{work.__name__} told nothing within {_PATIENCE_S:g} s")
    return answers.get()


def _tell_peak(work: Callable[[Path], None], clip: Path, answers: SimpleQueue[float]) -> None:
    work(clip)
    answers.put(_own_peak_bytes() / 1e6)


def _own_peak_bytes() -> int:
    # In getrusage a process inherits the peak of its parent; this file has its own.
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _detect(clip: Path) -> None:
    importlib.import_module("agegender.services.detect.__main__")
    build_detect_stage(DetectSettings()).process(frames_of(clip, _FEW_FPS))


def _classify(clip: Path) -> None:
    importlib.import_module("agegender.services.classify.__main__")
    build_classify_stage(ClassifySettings()).classify(faces_of(frames_of(clip, _FEW_FPS)))


def _sink(_clip: Path) -> None:
    importlib.import_module("agegender.services.sink.__main__")
    _day(200, 1)
