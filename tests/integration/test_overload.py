"""Detect is slower than its cameras, on a real broker: ingest thins all of them evenly, as detect tells."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.services.detect.faces.yunet import Detection
from agegender.services.detect.pace import Pace
from agegender.services.detect.stage import DetectOutput, DetectStage
from agegender.services.ingest.mailbox import Mailbox, WhenFull
from agegender.services.ingest.publish.told_pace import ToldPace
from agegender.services.ingest.sources.stream import CapturedFrame
from agegender.services.ingest.stage import IngestStage
from agegender.shared.images.pictures import Bgr
from agegender.shared.kafka.notes import KafkaNotes
from agegender.shared.kafka.output import KafkaOutput
from agegender.shared.kafka.source import KafkaSource
from agegender.shared.kafka.topics import FACES, FRAMES
from agegender.shared.messages.pipeline import Frame
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.dead_letters import LoggedDeadLetters
from agegender.shared.runtime.deadline import Deadline
from agegender.shared.runtime.memory import MemoryTopic
from agegender.shared.runtime.pace import pace_note
from agegender.shared.runtime.runner import BatchLimits, Runner
from agegender.shared.runtime.stage import Done
from tests.support.kafka_frames import opened, until_done
from tests.support.waiting import wait_until

CAMERAS = ("door", "hall", "yard")
FPS = 10.0
OVERLOAD = 4
COST_S = OVERLOAD / (len(CAMERAS) * FPS)
LEAST_PX = 16
DEADLINE_S = 20.0


class _SlowDetector:
    """Finds no face and takes its time. The sizes of a picture tell its camera and its number."""

    def __init__(self) -> None:
        self.looked_at: defaultdict[str, list[int]] = defaultdict(list)

    def detect(self, picture_bgr: Bgr, _smallest_face_px: int | None = None) -> Sequence[Detection]:
        height_px, width_px = picture_bgr.shape[:2]
        self.looked_at[CAMERAS[height_px - LEAST_PX]].append(width_px - LEAST_PX)
        time.sleep(COST_S)
        return []


class _Ingest:
    """Three cameras, the mailbox, the stage and the output of ingest, with what detect tells."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._notes = KafkaNotes(settings, FRAMES.name, "detect")
        self.pace = ToldPace(self._notes.read)
        self._mailbox = Mailbox(None, self.pace.interval_s)
        self._settings = settings
        self.captured = 0
        self.sent: defaultdict[str, list[int]] = defaultdict(list)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._capture, self._publish)]

    def __enter__(self) -> _Ingest:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        self._notes.close()

    def _capture(self) -> None:
        started_s = time.monotonic()
        while not self._over.wait(max(0.0, started_s + self.captured / FPS - time.monotonic())):
            for height_px, camera in enumerate(CAMERAS, LEAST_PX):
                picture = np.zeros((height_px, LEAST_PX + self.captured, 3), np.uint8)
                frame = CapturedFrame(camera, "s1", self.captured, time.time(), "arrival", picture)
                self._mailbox.put(frame, WhenFull.REPLACE)
            self.captured += 1

    def _publish(self) -> None:
        stage = IngestStage()
        with opened(KafkaOutput(FRAMES, self._settings, self.pace.note_written)) as output:
            while not self._over.is_set():
                self.pace.refresh()
                taken = self._mailbox.take(9, 0.1)
                done = [one for one in stage.process(taken) if isinstance(one, Done)]
                frames = [frame for one in done for frame in one.outputs]
                until_done(partial(output.write, frames))
                for frame in frames:
                    self.sent[frame.camera_id].append(frame.info.sequence)


def test_ingest_thins_all_cameras_as_detect_tells(kafka: str, random_suffix: str) -> None:
    settings = KafkaSettings(
        bootstrap_servers=kafka, topic_prefix=f"{random_suffix}-", partitions=4, session_timeout_s=6
    )
    detector, metrics, stop = _SlowDetector(), Metrics(CollectorRegistry()), threading.Event()
    stage = DetectStage(detector, deadline=Deadline(DEADLINE_S), pace=Pace(DEADLINE_S))
    topic: MemoryTopic[Any] = MemoryTopic("faces", FACES.codec, 10_000)
    runner: Runner[Frame, DetectOutput] = Runner(
        "detect",
        KafkaSource(FRAMES, "detect", settings, metrics=metrics, note=lambda: pace_note(stage.rate_hz)),
        stage,
        topic.output(),
        LoggedDeadLetters(),
        metrics=metrics,
        health=Health("detect", metrics),
        batch=BatchLimits(8, max_work_s=1.0),
    )
    thread = threading.Thread(target=runner.run, args=(stop,))
    thread.start()
    try:
        with _Ingest(settings) as ingest:
            wait_until(lambda: ingest.pace.is_overloaded, 40, "detect has told its pace")
            wait_until(lambda: stage.rate_hz is not None, 5, "detect thins")
            from_number = ingest.captured + int(3 * FPS)
            wait_until(lambda: ingest.captured >= from_number + 8 * FPS, 30, "some seconds pass")
            wait_until(lambda: max(detector.looked_at["yard"]) >= from_number + 6 * FPS, 30, "detect follows")
    finally:
        stop.set()
        thread.join()
    to_number = from_number + int(6 * FPS)
    seen, sent = (
        {name: [one for one in numbers[name] if from_number <= one < to_number] for name in CAMERAS}
        for numbers in (detector.looked_at, ingest.sent)
    )
    total = sum(map(len, seen.values()))
    assert total < 0.5 * 6 * FPS * len(CAMERAS), "there is an overload"
    assert sum(map(len, sent.values())) <= 1.2 * total + 3, "hardly a frame is sent in vain"
    assert min(map(len, seen.values())) >= 0.6 * max(map(len, seen.values())), "the cameras share alike"
    even = 6 * FPS * len(CAMERAS) / total
    assert max(after - before for some in seen.values() for before, after in pairwise(some)) < 2.5 * even
    assert metrics.total("agegender_messages_dropped_total", reason="stale") == 0
