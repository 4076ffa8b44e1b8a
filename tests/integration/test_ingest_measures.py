"""The times in the metrics of ingest mean the same over Kafka and in one process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.services.ingest.__main__ import build
from agegender.services.ingest.camera_source import CameraSource
from agegender.services.ingest.config import IngestSettings
from agegender.shared.cameras.camera import Camera
from agegender.shared.kafka.topics import FRAMES
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.dead_letters import LoggedDeadLetters
from agegender.shared.runtime.memory import MemoryTopic
from agegender.shared.runtime.runner import BatchLimits, Runner
from agegender.shared.runtime.service import Runnable
from agegender.simulator.content.clips import write_video
from tests.support.waiting import wait_until

FRAME_COUNT = 200
SIZE_WH = (640, 360)
FPS = 60
ROUNDS = 3


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "monday.mp4"
    pixels = np.random.default_rng(0).integers(0, 255, (SIZE_WH[1], SIZE_WH[0], 3), np.uint8)
    pictures = (np.roll(pixels, n, axis=1) for n in range(FRAME_COUNT))
    write_video(path, pictures, size_wh=SIZE_WH, fps=FPS)
    return path


def in_one_process(clip: Path) -> Metrics:
    """The metrics of a runner that writes to a memory topic, as `agegender run` has it."""
    metrics = Metrics(CollectorRegistry())
    settings = IngestSettings(fps=FPS)
    topic = MemoryTopic(FRAMES.name, FRAMES.codec, FRAME_COUNT)
    runner = Runner(
        "ingest",
        CameraSource([Camera(id="cam1", source=str(clip))], settings, metrics),
        settings.stage(),
        topic.output(),
        LoggedDeadLetters(),
        metrics=metrics,
        health=Health("ingest", metrics),
        batch=BatchLimits(1),
    )
    return _until_all_are_sent(runner, metrics)


def over_kafka() -> Metrics:
    """The metrics of the service."""
    metrics = Metrics(CollectorRegistry())
    return _until_all_are_sent(build(metrics, Health("ingest", metrics)), metrics)


def _until_all_are_sent(runner: Runnable, metrics: Metrics) -> Metrics:
    stop = threading.Event()
    thread = threading.Thread(target=runner.run, args=[stop])
    thread.start()
    try:
        wait_until(
            lambda: metrics.total("agegender_messages_sent_total") == FRAME_COUNT, 30, "all frames are sent"
        )
    finally:
        stop.set()
        thread.join()
    return metrics


def stage_s(metrics: Metrics) -> float:
    return metrics.total("agegender_stage_seconds_sum", service="ingest")


def process_s(metrics: Metrics) -> float:
    return metrics.total("agegender_loop_seconds_total", service="ingest", step="process")


def test_stage_and_loop_times_mean_the_same_on_both_transports(
    kafka: str, random_suffix: str, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each time is the least of several rounds, so that a busy machine does not matter."""
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("INGEST_CAMERAS", str(clip))
    monkeypatch.setenv("INGEST_FPS", str(FPS))
    rounds = []
    for number in range(ROUNDS):
        monkeypatch.setenv("KAFKA_TOPIC_PREFIX", f"{random_suffix}-{number}-")
        rounds.append((in_one_process(clip), over_kafka()))
    times: tuple[Callable[[Metrics], float], ...] = (stage_s, process_s)
    for least in times:
        memory_s, kafka_s = (min(least(one[place]) for one in rounds) for place in (0, 1))
        assert memory_s > 0
        assert 0.5 < kafka_s / memory_s < 2
    for metrics in (one for pair in rounds for one in pair):
        received = metrics.total("agegender_messages_received_total", service="ingest", kind="captured_frame")
        assert received == FRAME_COUNT
