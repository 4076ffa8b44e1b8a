"""Kafka deletes frames before detect has read them, on a real broker: they are counted by camera."""

from __future__ import annotations

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from prometheus_client import CollectorRegistry

from agegender.shared.kafka.source import KafkaSource
from agegender.shared.kafka.topics import FRAMES
from agegender.shared.messages.pipeline import Frame
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings
from tests.support.kafka_frames import delete_all, frames_output, numbers, opened, some, until_done
from tests.support.waiting import wait_until

CAMERAS = ("door", "hall")
DROPPED = "agegender_messages_dropped_total"


@pytest.fixture
def settings(kafka: str, random_suffix: str) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=kafka, topic_prefix=f"{random_suffix}-", partitions=1, session_timeout_s=6
    )


def source(settings: KafkaSettings, metrics: Metrics) -> KafkaSource[Frame]:
    return KafkaSource(FRAMES, "detect", settings, metrics=metrics)


def counted(metrics: Metrics) -> dict[str, float]:
    return metrics.by_label(DROPPED, "camera", service="detect", reason="deleted")


def test_frames_deleted_while_detect_was_away_are_counted_by_camera(
    settings: KafkaSettings, caplog: pytest.LogCaptureFixture
) -> None:
    """Of door 240 frames are deleted unread, of hall 100. Another worker finds the gap."""
    with opened(frames_output(settings)) as output:
        output.write(numbers(*range(5), cameras=CAMERAS))
        with opened(source(settings, Metrics(CollectorRegistry()))) as first:
            some(first, at_least=10)
            until_done(first.commit)
        output.write(numbers(*range(5, 105), cameras=CAMERAS) + numbers(*range(105, 245), cameras=("door",)))
        assert delete_all(settings, FRAMES.name) == 350
        output.write(numbers(245, cameras=("door",)) + numbers(105, cameras=("hall",)))
        metrics = Metrics(CollectorRegistry())
        with opened(source(settings, metrics)) as second:
            assert len(some(second, at_least=2)) == 2
            assert counted(metrics) == {}, "another worker may have to read it again"
            until_done(second.commit)
            wait_until(lambda: second.poll(1, 0.1) == [] and counted(metrics), 20, "the gap is counted")
    assert counted(metrics) == {"door": 240, "hall": 100}
    (error,) = [one for one in caplog.records if "deleted messages before" in one.getMessage()]
    assert (vars(error)["topic"], vars(error)["messages"]) == (settings.topic_prefix + FRAMES.name, 340)


def test_frames_deleted_after_they_were_read_are_no_gap(settings: KafkaSettings) -> None:
    metrics = Metrics(CollectorRegistry())
    with opened(frames_output(settings)) as output, opened(source(settings, metrics)) as reader:
        output.write(numbers(*range(5)))
        some(reader, at_least=5)
        delete_all(settings, FRAMES.name)
        output.write(numbers(*range(5, 10)))
        some(reader, at_least=5)
    assert counted(metrics) == {}
