"""The backlog of groups on a real broker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.shared.errors import NotNow
from agegender.shared.kafka.lag import KafkaBacklog
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.transport import Backlog
from tests.support.kafka_frames import (
    CAMERAS,
    frames_output,
    frames_source,
    numbers,
    opened,
    some,
    until_done,
)

READERS = {"frames": "readers", "faces": "classify"}


@pytest.fixture
def settings(kafka: str, random_suffix: str) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=kafka, topic_prefix=f"{random_suffix}-", partitions=4)


@pytest.fixture
def backlog(settings: KafkaSettings) -> Iterator[KafkaBacklog]:
    found = KafkaBacklog(settings, READERS)
    yield found
    found.close()


def test_what_is_written_waits_until_it_is_committed(settings: KafkaSettings, backlog: KafkaBacklog) -> None:
    until_done(backlog.count)  # a broker that has just started has no place for positions yet
    nothing = Backlog(0, None)
    assert backlog.count() == {"readers": nothing, "classify": nothing}, "there is not even a topic"
    with opened(frames_output(settings)) as output:
        output.write(numbers(0, 1, cameras=CAMERAS))
        assert backlog.count()["readers"] == Backlog(24, None), "no group has ever read it"
        with opened(frames_source(settings)) as source:
            some(source, at_least=24)
            assert backlog.count()["readers"] == Backlog(24, None), "it is in hand, and not done"
            until_done(source.commit)
            assert backlog.count()["readers"] == Backlog(0, 24)
        output.write(numbers(2, cameras=CAMERAS))
    assert backlog.count()["readers"] == Backlog(12, 24)


def test_without_a_broker_nothing_is_known() -> None:
    away = KafkaBacklog(KafkaSettings(bootstrap_servers="127.0.0.1:1"), READERS)
    with pytest.raises(NotNow, match="no answer from 127"):
        away.count()
