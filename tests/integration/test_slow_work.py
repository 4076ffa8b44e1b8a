"""A stage that takes longer than the session timeout, on a real broker."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from kafka import KafkaConsumer

from agegender.shared.messages.codec import FRAME_CODEC
from agegender.shared.messages.pipeline import Frame
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.dead_letters import LoggedDeadLetters
from agegender.shared.runtime.memory import MemoryTopic
from agegender.shared.runtime.runner import BatchLimits, Runner
from agegender.shared.runtime.stage import Done, Outcome
from tests.support.kafka_frames import CAMERAS, frames_output, frames_source, numbers, opened, until_done
from tests.support.waiting import wait_until

PATIENCE_S = 2.0


class Slow:
    """Passes frames on, and takes three times the patience of the group for the first batch."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.batches = 0

    def process(self, batch: Sequence[Frame]) -> Sequence[Outcome[Frame]]:
        self.batches += 1
        until_s = time.monotonic() + (3 * PATIENCE_S if self.batches == 1 else 0.0)
        while time.monotonic() < until_s:
            pass
        self.seen.update(one.info.frame_id for one in batch)
        return [Done((one,)) for one in batch]


def test_slow_work_keeps_its_assignment_and_repeats_nothing(
    kafka: str, random_suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KafkaConsumer.DEFAULT_CONFIG, "max_poll_interval_ms", int(PATIENCE_S * 1000))
    settings = KafkaSettings(
        bootstrap_servers=kafka, topic_prefix=f"{random_suffix}-", partitions=2, session_timeout_s=6
    )
    frames = numbers(*range(4), cameras=CAMERAS)
    with opened(frames_output(settings)) as output:
        until_done(lambda: output.write(frames))
    stage, metrics, stop = Slow(), Metrics(CollectorRegistry()), threading.Event()
    runner = Runner(
        "slow",
        frames_source(settings),
        stage,
        MemoryTopic("out", FRAME_CODEC, 1_000).output(),
        LoggedDeadLetters(),
        metrics=metrics,
        health=Health("slow", metrics),
        batch=BatchLimits(16),
    )
    thread = threading.Thread(target=runner.run, args=(stop,))
    thread.start()
    try:
        wait_until(lambda: len(stage.seen) == len(frames), 60, "all frames are worked on")
        wait_until(lambda: metrics.total("agegender_messages_sent_total") == len(frames), 20, "all are done")
    finally:
        stop.set()
        thread.join()
    assert set(stage.seen.values()) == {1}
    assert metrics.total("agegender_retries_total") == 0
