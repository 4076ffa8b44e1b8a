"""The metric of the lag of a worker, on a real broker."""

from __future__ import annotations

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from prometheus_client import CollectorRegistry

from agegender.shared.kafka.source import KafkaSource
from agegender.shared.kafka.topics import FRAMES
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings
from tests.support.kafka_frames import frames_output, numbers, opened, some
from tests.support.waiting import wait_until

NAME = "agegender_lag_messages"


@pytest.fixture
def settings(kafka: str, random_suffix: str) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=kafka, topic_prefix=f"{random_suffix}-", partitions=4, session_timeout_s=6
    )


def test_the_lag_is_known_while_the_worker_waits_for_a_server(
    settings: KafkaSettings,
) -> None:
    metrics = Metrics(CollectorRegistry())
    source = KafkaSource(FRAMES, "detect", settings, metrics=metrics)
    with opened(frames_output(settings)) as output, opened(source):
        output.write(numbers(*range(5)))
        some(source, at_least=2, max_messages=2)
        assert metrics.by_label(NAME, "topic", service="detect").keys() <= {"frames"}

        output.write(numbers(*range(5, 10)))

        def lag() -> float:
            source.keep_alive()
            return metrics.total(NAME, service="detect", topic="frames")

        wait_until(lambda: lag() == 8, 20, "eight of ten frames wait")
        assert metrics.by_label(NAME, "partition").keys() == {"0", "1", "2", "3"}
        some(source, at_least=8)
        source.commit()
        wait_until(lambda: source.poll(1, 0.1) == [] and lag() == 0, 20, "no frame waits")
    assert metrics.by_label(NAME, "partition") == {}, "of what is held no more nothing is said"


def test_what_another_worker_took_over_is_told_by_it_alone(settings: KafkaSettings) -> None:
    ours, other = Metrics(CollectorRegistry()), Metrics(CollectorRegistry())
    with opened(KafkaSource(FRAMES, "detect", settings, metrics=ours)) as source:
        wait_until(
            lambda: source.poll(1, 0.1) == [] and len(ours.by_label(NAME, "partition")) == 4,
            30,
            "all four partitions are ours",
        )
        with opened(KafkaSource(FRAMES, "detect", settings, metrics=other)) as second:

            def told() -> list[str]:
                source.poll(1, 0.1)
                second.poll(1, 0.1)
                return sorted([*ours.by_label(NAME, "partition"), *other.by_label(NAME, "partition")])

            wait_until(
                lambda: told() == ["0", "1", "2", "3"] and other.by_label(NAME, "partition"),
                60,
                "each partition is told once",
            )
