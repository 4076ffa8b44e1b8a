"""Reading topics of a real broker without changing a committed position."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from kafka import KafkaAdminClient, TopicPartition

from agegender.shared.kafka.client import committed_offsets
from agegender.shared.kafka.output import KafkaRawOutput
from agegender.shared.kafka.reader import KafkaReader
from agegender.shared.messages.codec import Encoded
from agegender.shared.process.settings import KafkaSettings
from tests.support.kafka_frames import (
    CAMERAS,
    frames_output,
    frames_source,
    numbers,
    opened,
    some,
    until_done,
)
from tests.support.waiting import wait_until


@pytest.fixture
def settings(kafka: str, random_suffix: str) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=kafka, topic_prefix=f"{random_suffix}-", partitions=3, session_timeout_s=6
    )


@pytest.fixture
def reader(settings: KafkaSettings) -> Iterator[KafkaReader]:
    with KafkaReader(settings) as one:
        yield one


def put(settings: KafkaSettings, *values: bytes) -> str:
    """Writes them under one key, so to one partition; returns the topic."""
    output = KafkaRawOutput("things", 600, settings)
    output.write([Encoded(b"k", value, (("h", b"1"),)) for value in values])
    output.close()
    return f"{settings.topic_prefix}things"


def test_messages_up_to_the_end_are_read_with_their_place(
    settings: KafkaSettings, reader: KafkaReader
) -> None:
    topic = put(settings, b"0", b"1", b"2")
    ends = reader.ends(topic)
    put(settings, b"later")
    found = list(reader.read(topic, reader.begins(topic), ends))
    assert [(one.offset, one.encoded) for one in found] == [
        (n, Encoded(b"k", str(n).encode(), (("h", b"1"),))) for n in range(3)
    ]
    assert found[1].origin == f"{topic}/{found[1].partition}@1"
    assert abs(found[0].appended_at_s - time.time()) < 60


def test_messages_are_found_by_the_time_when_they_came(settings: KafkaSettings, reader: KafkaReader) -> None:
    topic = put(settings, b"0", b"1")
    at_s = max(one.appended_at_s for one in reader.read(topic, {}, reader.ends(topic)))
    wait_until(lambda: time.time() > at_s + 0.1, 5, "time goes on")
    put(settings, b"2")
    ends = reader.ends(topic)
    found = reader.read(topic, reader.since(topic, at_s + 0.05), ends)
    assert [one.encoded.value for one in found] == [b"2"]
    assert reader.since(topic, time.time() + 1_000) == ends


def test_one_message_is_found_by_its_place_unless_it_is_gone(
    settings: KafkaSettings, reader: KafkaReader
) -> None:
    topic = put(settings, b"0", b"1", b"2")
    place = next(number for number, end in reader.ends(topic).items() if end == 3)
    with KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers) as admin:
        admin.delete_records({TopicPartition(topic, place): 1})
    wait_until(lambda: reader.begins(topic)[place] == 1, 20, "the first message is deleted")
    values = [None if (one := reader.at(topic, place, n)) is None else one.encoded.value for n in range(4)]
    assert values == [None, b"1", b"2", None]
    assert reader.at(topic, 77, 0) is None
    left = reader.read(topic, {place: 0}, reader.ends(topic))
    assert [one.encoded.value for one in left] == [b"1", b"2"]


def test_a_topic_that_does_not_exist_is_empty(settings: KafkaSettings, reader: KafkaReader) -> None:
    topic = f"{settings.topic_prefix}nothing"
    committed: list[Mapping[int, int]] = []
    assert reader.ends(topic) == reader.begins(topic) == reader.since(topic, 0.0) == {}
    assert list(reader.read(topic, {}, {})) == []
    assert reader.at(topic, 0, 0) is None
    # A broker that has never had a group needs a moment for its first.
    until_done(lambda: committed.append(committed_offsets(settings, "nobody", topic)))
    assert committed == [{}]


def test_reading_changes_no_committed_position(settings: KafkaSettings, reader: KafkaReader) -> None:
    topic, group = f"{settings.topic_prefix}frames", f"{settings.topic_prefix}readers"
    with opened(frames_output(settings)) as output, opened(frames_source(settings)) as source:
        output.write(numbers(0, 1, cameras=CAMERAS))
        some(source, at_least=2 * len(CAMERAS))
        source.commit()
        output.write(numbers(2, cameras=CAMERAS))
        assert len(list(reader.read(topic, {}, reader.ends(topic)))) == 3 * len(CAMERAS)
        done = committed_offsets(settings, group, topic)
        assert sum(done.values()) == 2 * len(CAMERAS)
        assert len(some(source, at_least=len(CAMERAS))) == len(CAMERAS)
