"""Detect is much slower than its cameras, on a real broker: it looks at no frame older than the deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.services.detect.faces.yunet import Detection
from agegender.services.detect.stage import DetectOutput, DetectStage
from agegender.shared.images.pictures import Bgr, encode_jpeg
from agegender.shared.kafka.source import KafkaSource
from agegender.shared.kafka.topics import FACES, FRAMES
from agegender.shared.messages.pipeline import Frame
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.dead_letters import LoggedDeadLetters
from agegender.shared.runtime.deadline import Deadline
from agegender.shared.runtime.memory import MemoryTopic
from agegender.shared.runtime.runner import BatchLimits, Runner
from tests.support.kafka_frames import frames_output, opened, until_done
from tests.support.made_messages import frame_info
from tests.support.waiting import wait_until

CAMERAS = ("door", "hall")
FPS, DEADLINE_S = 10.0, 2.0
COST_S = 4 / (len(CAMERAS) * FPS)
"""Detect works at a quarter of the rate at which frames arrive."""
LEAST_PX = 16
SLACK_S = 0.5  # between the check of the age and the call of the detector


class _SlowDetector:
    """Finds no face, takes its time, and notes number and true time of each frame it looked at."""

    def __init__(self) -> None:
        self.looked_at: list[tuple[int, float]] = []

    def detect(self, picture_bgr: Bgr, _smallest_face_px: int | None = None) -> Sequence[Detection]:
        self.looked_at.append((picture_bgr.shape[1] - LEAST_PX, time.monotonic()))
        time.sleep(COST_S)
        return []


class _Ingest:
    """Publishes frames of all cameras at their rate. The width of a picture tells the number of the frame.

    Args:
        clock_off_s: how far its clock is ahead.
    """

    def __init__(self, settings: KafkaSettings, clock_off_s: float) -> None:
        self._clock_off_s = clock_off_s
        self.captured_s: list[float] = []
        self._settings = settings
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> _Ingest:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with opened(frames_output(self._settings)) as output:
            started_s = time.monotonic()
            while not self._over.wait(max(0.0, started_s + len(self.captured_s) / FPS - time.monotonic())):
                self.captured_s.append(time.monotonic())
                frames = [self._frame(camera) for camera in CAMERAS]
                until_done(partial(output.write, frames))

    def _frame(self, camera: str) -> Frame:
        number, shown_s = len(self.captured_s) - 1, time.time() + self._clock_off_s
        info = frame_info(camera, sequence=number, captured_at_s=shown_s)
        picture_bgr = np.zeros((LEAST_PX, LEAST_PX + number, 3), np.uint8)
        return Frame(
            info=info.model_copy(update={"published_at_s": shown_s}), jpeg=encode_jpeg(picture_bgr, 50)
        )


@pytest.mark.parametrize("clock_off_s", [0.0, -3600.0, 3600.0], ids=["right", "behind", "ahead"])
def test_a_slow_detect_looks_at_no_late_frame(
    kafka: str, random_suffix: str, caplog: pytest.LogCaptureFixture, clock_off_s: float
) -> None:
    """Frames of a host whose clock is an hour off still flow, with one warning."""
    settings = KafkaSettings(
        bootstrap_servers=kafka, topic_prefix=f"{random_suffix}-", partitions=2, session_timeout_s=6
    )
    detector, metrics, stop = _SlowDetector(), Metrics(CollectorRegistry()), threading.Event()
    stage = DetectStage(detector, deadline=Deadline(DEADLINE_S))
    topic: MemoryTopic[Any] = MemoryTopic("faces", FACES.codec, 10_000)
    runner: Runner[Frame, DetectOutput] = Runner(
        "detect",
        KafkaSource(FRAMES, "detect", settings, metrics=metrics, on_read=stage.note_read),
        stage,
        topic.output(),
        LoggedDeadLetters(),
        metrics=metrics,
        health=Health("detect", metrics),
        batch=BatchLimits(8),
    )
    with _Ingest(settings, clock_off_s) as ingest:
        wait_until(
            lambda: len(ingest.captured_s) >= 2 * DEADLINE_S * FPS, 20, "detect is behind at its start"
        )
        thread = threading.Thread(target=runner.run, args=(stop,))
        thread.start()
        try:
            wait_until(lambda: len(detector.looked_at) >= 20, 30, "frames flow")
        finally:
            stop.set()
            thread.join()
    oldest_s = max(at_s - ingest.captured_s[number] for number, at_s in detector.looked_at)
    assert oldest_s <= DEADLINE_S + SLACK_S
    assert metrics.total("agegender_messages_dropped_total", reason="stale") > 0
    warnings = [one for one in caplog.records if "clock of an ingest host differs" in one.getMessage()]
    assert len(warnings) == (1 if clock_off_s else 0)
