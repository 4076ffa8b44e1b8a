"""Workers of detect that die at any moment send together what one worker would send. On a real broker."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pytest
from prometheus_client import CollectorRegistry

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.services.detect.checkpoints import CHECKPOINTS, CheckpointingOutput
from agegender.services.detect.faces.yunet import YuNet
from agegender.services.detect.stage import DetectStage
from agegender.services.detect.tracking.checkpoint import Checkpoint
from agegender.shared.errors import NotNow
from agegender.shared.images.pictures import encode_jpeg
from agegender.shared.kafka.changelog import KafkaChangelog
from agegender.shared.kafka.client import committed_offsets
from agegender.shared.kafka.output import KafkaOutput
from agegender.shared.kafka.source import KafkaSource
from agegender.shared.kafka.topics import FACES, FRAMES
from agegender.shared.messages.pipeline import Face, Frame, TrackUpdate
from agegender.shared.models import weights
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.dead_letters import LoggedDeadLetters
from agegender.shared.runtime.runner import BatchLimits, Runner
from agegender.shared.runtime.stage import Done
from agegender.shared.runtime.transport import Assignment
from tests.support.faces import astronaut
from tests.support.kafka_frames import opened
from tests.support.made_messages import frame_info
from tests.support.pipeline import read_topic
from tests.support.waiting import wait_until

START_S = 1_700_000_000.0
RATE_HZ = 5.0
CAMERAS = ("cam1", "cam2", "cam3", "cam4")
LENGTH = 24
IN_HALF = "in half of it"
STEPS = (
    "faces",
    f"faces {IN_HALF}",
    "checkpoints",
    f"checkpoints {IN_HALF}",
    "commit",
    "next batch",
)
"""Where a worker may die: when it is about to take that step, or has done half of it."""

Heard = Face | TrackUpdate


class Crash(Exception):
    """Stands for the death of the process: nothing is finished, nothing is committed."""


@dataclass
class Fate:
    """Death at a step of the `batches`-th batch from now, counted from 0."""

    step: str = ""
    batches: int = 0

    def meet(self, step: str, before: Callable[[], None] = lambda: None) -> None:
        if step != self.step:
            return
        self.batches -= 1
        if self.batches < 0:
            before()
            raise Crash(step)


class MortalOutput(KafkaOutput[Heard]):
    def __init__(self, kafka: KafkaSettings, fate: Fate) -> None:
        super().__init__(FACES, kafka)
        self._fate = fate

    def write(self, messages: Sequence[Heard]) -> None:
        if messages:
            self._fate.meet("faces")
            half = messages[: len(messages) // 2]
            self._fate.meet(f"faces {IN_HALF}", lambda: super(MortalOutput, self).write(half))
        super().write(messages)


class MortalChangelog(KafkaChangelog[Checkpoint]):
    def __init__(self, kafka: KafkaSettings, fate: Fate) -> None:
        super().__init__(CHECKPOINTS, kafka)
        self._fate = fate

    def write(self, messages: Sequence[Checkpoint]) -> None:
        if messages:
            self._fate.meet("checkpoints")
            half = messages[: len(messages) // 2]
            self._fate.meet(f"checkpoints {IN_HALF}", lambda: super(MortalChangelog, self).write(half))
        super().write(messages)


class MortalSource(KafkaSource[Frame]):
    def __init__(self, kafka: KafkaSettings, fate: Fate, on_assignment: Callable[[Assignment], None]) -> None:
        super().__init__(FRAMES, "detect", kafka, on_assignment)
        self._fate = fate

    def commit(self) -> None:
        self._fate.meet("commit")
        super().commit()
        self._fate.meet("next batch")


class Worker:
    """Detect in a thread, until it is stopped or dies."""

    def __init__(self, kafka: KafkaSettings, fate: Fate | None = None) -> None:
        self.fate = fate or Fate()
        self.died_at: str | None = None
        self._stop = threading.Event()
        stage, metrics = detector(), Metrics(CollectorRegistry())
        output: CheckpointingOutput[Any] = CheckpointingOutput(
            stage, MortalOutput(kafka, self.fate), MortalChangelog(kafka, self.fate)
        )
        self._runner = Runner(
            "detect",
            MortalSource(kafka, self.fate, output.take_over),
            stage,
            output,
            LoggedDeadLetters(),
            metrics=metrics,
            health=Health("detect", metrics),
            batch=BatchLimits(6),
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._runner.run(self._stop)
        except Crash as crash:
            self.died_at = str(crash)

    def wait_for_death(self) -> None:
        self._thread.join(30)
        assert self.died_at == self.fate.step

    def close(self) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


def detector() -> DetectStage:
    return DetectStage(YuNet(weights("yunet"), 480, 0.7), selection="all", clock=lambda: START_S)


@pytest.fixture
def settings(kafka: str, random_suffix: str) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=kafka, topic_prefix=f"{random_suffix}-", partitions=3, session_timeout_s=6
    )


@pytest.fixture(scope="module")
def clip() -> list[Frame]:
    """Frames of several cameras in turn; one person is always there, another comes and goes."""
    portrait = cv2.resize(astronaut()[0:320, 64:384], (200, 200), interpolation=cv2.INTER_AREA)
    found = []
    for i in range(LENGTH):
        canvas = np.full((270, 480, 3), 128, np.uint8)
        canvas[20:220, 10 + i : 210 + i] = portrait
        if 4 <= i < 9:
            canvas[30:230, 270 - 2 * i : 470 - 2 * i] = portrait
        jpeg = encode_jpeg(canvas, 90)
        for camera in CAMERAS:
            info = frame_info(camera, sequence=i, captured_at_s=START_S + i / RATE_HZ)
            found.append(Frame(info=info, jpeg=jpeg))
    return found


@pytest.fixture(scope="module")
def expected(clip: list[Frame]) -> set[Heard]:
    """The messages of one worker that never dies."""
    outcomes = [one for one in detector().process(clip) if isinstance(one, Done)]
    return {output for one in outcomes for output in one.outputs if isinstance(output, Heard)}


def sent(settings: KafkaSettings) -> list[Heard]:
    """All messages of the topic `faces`."""
    found = read_topic(settings.bootstrap_servers, settings.topic_prefix + FACES.name)
    return [FACES.codec.decode(one) for one in found]


def wait_until_done(settings: KafkaSettings, frames: int) -> None:
    group = f"{settings.topic_prefix}detect"

    def done() -> bool:
        try:
            offsets = committed_offsets(settings, group, settings.topic_prefix + FRAMES.name)
        except NotNow:  # a broker that has just started has no coordinator yet
            return False
        return sum(offsets.values()) == frames

    wait_until(done, 40, f"{frames} frames are committed")


@contextlib.contextmanager
def working(settings: KafkaSettings) -> Iterator[Worker]:
    worker = Worker(settings)
    try:
        yield worker
    finally:
        worker.close()


def test_the_clip_shows_two_visits_at_each_camera(expected: set[Heard]) -> None:
    tracks = {
        (told.camera_id, one.track_id): one
        for told in sorted(expected, key=lambda one: one.captured_at_s)
        if isinstance(told, TrackUpdate)
        for one in told.info.tracks
    }
    assert len(tracks) == 2 * len(CAMERAS)
    assert sum(one.ended for one in tracks.values()) == len(CAMERAS)


def test_workers_that_die_at_any_step_lose_no_message(
    settings: KafkaSettings, clip: list[Frame], expected: set[Heard]
) -> None:
    chance = random.Random(8)  # noqa: S311  (no secret)
    with opened(KafkaOutput(FRAMES, settings)) as output:
        output.write(clip)
    steps = list(STEPS)
    chance.shuffle(steps)
    for step in steps:
        Worker(settings, Fate(step, chance.randrange(2))).wait_for_death()
    with working(settings):
        wait_until_done(settings, len(clip))
    found = sent(settings)
    assert set(found) == expected
    assert len(found) > len(expected), "this test should make repeats"


def test_workers_take_over_in_the_middle_of_a_visit(
    settings: KafkaSettings, clip: list[Frame], expected: set[Heard]
) -> None:
    third = len(clip) // 3
    with opened(KafkaOutput(FRAMES, settings)) as output, contextlib.ExitStack() as at_the_end:
        first = Worker(settings)
        at_the_end.callback(first.close)
        output.write(clip[:third])
        wait_until_done(settings, third)

        second = Worker(settings, Fate("checkpoints", 2))
        at_the_end.callback(second.close)
        output.write(clip[third : 2 * third])
        wait_until_done(settings, 2 * third)

        first.close()
        output.write(clip[2 * third :])
        second.wait_for_death()
        at_the_end.enter_context(working(settings))
        wait_until_done(settings, len(clip))
    assert set(sent(settings)) == expected
