"""Two versions of the services on one broker: no message is lost between them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.services.detect.checkpoints import CHECKPOINTS
from agegender.shared.cameras.record import CameraSettings
from agegender.shared.errors import BadMessage, SchemaMismatch
from agegender.shared.kafka.changelog import KafkaChangelog
from agegender.shared.kafka.output import KafkaDeadLetters, KafkaRawOutput
from agegender.shared.kafka.source import KafkaSource
from agegender.shared.kafka.table import KafkaTable
from agegender.shared.kafka.topics import CAMERAS, DEAD_LETTERS_NAME, FACES, FRAMES, RESULTS, Topic
from agegender.shared.messages.codec import FRAME_CODEC, Codec, Encoded
from agegender.shared.messages.pipeline import Frame, FrameInfo
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.runner import BatchLimits, Runner
from agegender.shared.runtime.stage import Done
from agegender.shared.runtime.transport import Assignment
from tests.support.kafka_frames import opened, until_done
from tests.support.made_messages import frame
from tests.support.pipeline import read_topic
from tests.support.waiting import wait_until
from tests.unit.shared.messages.test_codec import GOLDEN

# A layout that no older version can read: the picture lies in front of its description.
NEXT_FRAME_CODEC: Codec[Frame] = replace(
    FRAME_CODEC,
    schema="frame/2",
    split=lambda one: ("{}", one.jpeg + b"\0" + one.info.model_dump_json(exclude_none=True).encode()),
    join=lambda _meta, value: Frame(
        info=FrameInfo.model_validate_json(value.rpartition(b"\0")[2]), jpeg=value.rpartition(b"\0")[0]
    ),
    older={FRAME_CODEC.schema: FRAME_CODEC.join},
)
NEXT_FRAMES: Topic[Frame] = replace(FRAMES, codec=NEXT_FRAME_CODEC)


@pytest.fixture
def settings(kafka: str, random_suffix: str) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=kafka, topic_prefix=f"{random_suffix}-", partitions=1, session_timeout_s=6
    )


def put(settings: KafkaSettings, topic: Topic[Any], messages: Sequence[Encoded]) -> None:
    output = KafkaRawOutput(topic.name, topic.retention_s, settings)
    until_done(output.open)
    output.write(messages)
    output.close()


def taken(topic: Topic[Any], settings: KafkaSettings, number: int) -> list[Any]:
    source: KafkaSource[Any] = KafkaSource(topic, "readers", settings)
    found: list[Any] = []

    def enough() -> bool:
        found.extend(one.message for one in source.poll(50, 0.2))
        return len(found) >= number

    with opened(source):
        wait_until(enough, 20, f"{number} messages are handed out")
    return found


@pytest.mark.parametrize("topic", [FRAMES, FACES, RESULTS], ids=lambda topic: topic.name)
def test_a_worker_reads_messages_left_in_its_topic(settings: KafkaSettings, topic: Topic[Any]) -> None:
    kinds = {"frames": "frame/", "faces": "face/", "results": "result/"}
    golden = [one.values for one in GOLDEN if one.values[0].schema.startswith(kinds[topic.name])]
    put(settings, topic, [encoded for _, _, encoded in golden])
    assert taken(topic, settings, len(golden)) == [message for _, message, _ in golden]


def test_a_codec_of_the_next_version_reads_both_side_by_side(settings: KafkaSettings) -> None:
    old, new = frame("cam1", 0), frame("cam1", 1)
    put(settings, FRAMES, [FRAME_CODEC.encode(old), NEXT_FRAME_CODEC.encode(new), FRAME_CODEC.encode(old)])
    assert taken(NEXT_FRAMES, settings, 3) == [old, new, old]


class _Kept:
    """A stage and an output that keep the frames they get."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def process(self, batch: Sequence[Frame]) -> Sequence[Done[Frame]]:
        return [Done((one,)) for one in batch]

    def open(self) -> None:
        pass

    def write(self, messages: Sequence[Frame]) -> None:
        self.frames.extend(messages)

    def close(self) -> None:
        pass


class _Worker:
    """A service that reads frames in its own thread until it is stopped."""

    def __init__(self, topic: Topic[Frame], settings: KafkaSettings) -> None:
        metrics = Metrics(CollectorRegistry())
        self.kept = _Kept()
        self.health = Health("detect", metrics)
        self._stop = threading.Event()
        runner = Runner(
            "detect",
            KafkaSource(topic, "detect", settings),
            self.kept,
            self.kept,
            KafkaDeadLetters(settings),
            metrics=metrics,
            health=self.health,
            batch=BatchLimits(8, 0.5),
        )
        self._thread = threading.Thread(target=runner.run, args=(self._stop,))
        self._thread.start()

    @property
    def sequences(self) -> list[int]:
        return [one.info.sequence for one in self.kept.frames]

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.fixture
def workers() -> Iterator[list[_Worker]]:
    started: list[_Worker] = []
    yield started
    for one in started:
        one.stop()


def test_an_older_worker_leaves_newer_messages_to_its_successor(
    settings: KafkaSettings, workers: list[_Worker]
) -> None:
    first, newer, last = (frame("cam1", number) for number in range(3))
    put(
        settings,
        FRAMES,
        [FRAME_CODEC.encode(first), NEXT_FRAME_CODEC.encode(newer), FRAME_CODEC.encode(last)],
    )
    old = _Worker(FRAMES, settings)
    workers.append(old)
    wait_until(lambda: "frame/2" in (old.health.waiting_for or ""), 20, "the older worker says why it waits")
    assert old.health.waiting_for == (
        f"{settings.topic_prefix}frames/0@1: a message has schema 'frame/2', and this worker reads up to "
        "'frame/1': upgrade it"
    )
    assert old.health.is_live
    assert old.sequences == [0]
    old.stop()
    upgraded = _Worker(NEXT_FRAMES, settings)
    workers.append(upgraded)
    wait_until(lambda: len(upgraded.sequences) == 2, 20, "the upgraded worker reads on")
    assert upgraded.sequences == [1, 2]
    assert read_topic(settings.bootstrap_servers, settings.topic_prefix + DEAD_LETTERS_NAME) == []


def test_a_worker_waits_at_an_old_message_and_drops_nothing(
    settings: KafkaSettings, workers: list[_Worker]
) -> None:
    """The reason tells the operator to start afresh; no old message becomes a dead letter."""
    old = FRAME_CODEC.encode(frame("cam1", 0))
    put(settings, FRAMES, [old, old])
    third_codec = replace(NEXT_FRAME_CODEC, schema="frame/3", older={})
    worker = _Worker(replace(FRAMES, codec=third_codec), settings)
    workers.append(worker)
    wait_until(lambda: "frame/1" in (worker.health.waiting_for or ""), 20, "the worker says why it waits")
    assert "stop the services, delete the topics frames, faces, results" in (worker.health.waiting_for or "")
    worker.stop()
    assert worker.sequences == []
    assert read_topic(settings.bootstrap_servers, settings.topic_prefix + DEAD_LETTERS_NAME) == []


def test_detect_waits_at_a_checkpoint_of_a_later_version(settings: KafkaSettings) -> None:
    changelog = KafkaChangelog(CHECKPOINTS, settings)
    assignment = Assignment(frozenset({0}), 1)
    assert changelog.read(assignment) == []
    raw = KafkaRawOutput(CHECKPOINTS.name, CHECKPOINTS.retention_s, settings)
    raw.write([Encoded(b"cam1", b"{}", (("schema", b"checkpoint/2"), ("meta", b"{}")))])
    raw.close()
    with pytest.raises(SchemaMismatch, match="checkpoint/2"):
        changelog.read(assignment)


def test_a_camera_with_newer_settings_holds_up_no_other(settings: KafkaSettings) -> None:
    table = KafkaTable(CAMERAS, settings, 1)
    table.open()
    door = CameraSettings.model_validate({"id": "door", "source": "rtsp://h/door"})
    table.write({"door": door})
    raw = KafkaRawOutput(CAMERAS.name, 60, settings)
    raw.write([Encoded(b"hall", b"{}", (("schema", b"camera-settings/2"), ("meta", b"{}")))])
    raw.close()
    wait_until(lambda: table.refresh(0.2) and "hall" in table.entries, 10, "the newer record arrives")
    table.close()
    assert table.entries["door"].message == door
    left_out = table.entries["hall"].message
    assert isinstance(left_out, BadMessage)
    assert "camera-settings/2" in str(left_out)
