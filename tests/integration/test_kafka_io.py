"""Topics and their settings, and dead letters, on a real broker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from shared.codec import MAX_MESSAGE_BYTES, Encoded
from shared.dead_letters import DeadLetter
from shared.errors import SettingsError
from shared.kafka_output import KafkaDeadLetters, KafkaOutput
from shared.settings import KafkaSettings
from shared.topics import DEAD_LETTERS_NAME, FRAMES
from tests.support.kafka_frames import (
    CAMERAS,
    by_camera,
    frames_output,
    frames_source,
    numbers,
    opened,
    some,
    stored,
    until_done,
)
from tests.support.made_messages import frame
from tests.support.pipeline import read_topic

Admin = Any  # kafka-python has no types

LETTER = DeadLetter(
    "schema is missing", "detect", "frames/3@17", Encoded(b"cam1", b"not ours", (("trace", b"\xff"),))
)


@pytest.fixture
def settings(kafka: str, random_suffix: str) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=kafka, topic_prefix=f"{random_suffix}-", partitions=4, session_timeout_s=6
    )


@pytest.fixture
def admin(settings: KafkaSettings) -> Iterator[Any]:
    with KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers) as client:
        yield client


def configs(admin: Admin, topic: str) -> dict[str, str]:
    resource = ConfigResource(ConfigResourceType.TOPIC, topic)
    described = admin.describe_configs([resource], config_filter="all")
    (found,) = described["topic"].values()
    return {name: str(entry["value"]) for name, entry in found.items()}


def test_a_topic_keeps_pictures_for_its_time_by_the_clock_of_the_broker(
    settings: KafkaSettings, admin: Admin
) -> None:
    name = f"{settings.topic_prefix}frames"
    with opened(frames_output(settings)):
        (topic,) = admin.describe_topics([name])
        found = configs(admin, name)
    assert len(topic["partitions"]) == 4
    assert found["cleanup.policy"] == "delete"
    assert found["retention.ms"] == str(10 * 60 * 1000)
    # Kafka deletes whole segments: one must be closed well before the pictures in it are due.
    assert int(found["segment.ms"]) <= int(found["retention.ms"]) / 4
    assert found["message.timestamp.type"] == "LogAppendTime"
    assert int(found["max.message.bytes"]) > MAX_MESSAGE_BYTES


def test_many_workers_that_start_at_once_create_a_topic_once(settings: KafkaSettings) -> None:
    def work(number: int) -> None:
        with opened(frames_output(settings)) as output:
            output.write([frame(f"cam{number}")])

    with ThreadPoolExecutor(8) as workers:
        list(workers.map(work, range(8)))
    assert len(stored(settings)) == 8


def test_a_topic_that_exists_is_left_as_it_is(settings: KafkaSettings, admin: Admin) -> None:
    name = f"{settings.topic_prefix}frames"
    theirs = {"num_partitions": 1, "configs": {"retention.ms": "1234567"}}
    admin.create_topics({name: theirs}, wait_for_metadata=True)
    with opened(frames_output(settings)) as output:
        output.write(numbers(0, cameras=CAMERAS))
    (topic,) = admin.describe_topics([name])
    assert len(topic["partitions"]) == 1
    assert configs(admin, name)["retention.ms"] == "1234567"


def test_a_topic_of_others_for_small_messages_is_a_mistake_of_the_settings(
    settings: KafkaSettings, admin: Admin
) -> None:
    name = f"{settings.topic_prefix}frames"
    admin.create_topics({name: {"configs": {"max.message.bytes": "50000"}}}, wait_for_metadata=True)
    with (
        opened(frames_output(settings)) as output,
        pytest.raises(SettingsError, match=r"frames'.* raise the topic's max\.message\.bytes to 2"),
    ):
        output.write([frame(jpeg=bytes(100_000))])


def test_a_topic_that_was_deleted_comes_again(settings: KafkaSettings, admin: Admin) -> None:
    with opened(frames_output(settings)) as output:
        output.write(numbers(0))
        admin.delete_topics([f"{settings.topic_prefix}frames"])
        output._drop_producer()  # its memory of the topic would last for minutes
        until_done(lambda: output.write(numbers(1)))
        with opened(frames_source(settings)) as source:
            assert by_camera(some(source)) == {"cam1": [1]}


def test_two_systems_share_a_broker_by_their_prefixes(settings: KafkaSettings) -> None:
    other = settings.model_copy(update={"topic_prefix": f"other-{settings.topic_prefix}"})
    with opened(frames_output(settings)) as output, opened(KafkaOutput(FRAMES, other)) as their_output:
        output.write(numbers(0))
        their_output.write(numbers(1))
        with opened(frames_source(settings)) as source:
            assert Counter(one.info.sequence for one in some(source)) == {0: 1}


def written(settings: KafkaSettings, *letters: DeadLetter) -> list[Encoded]:
    with opened(KafkaDeadLetters(settings)) as output:
        output.write(letters)
    return read_topic(settings.bootstrap_servers, settings.topic_prefix + DEAD_LETTERS_NAME)


def test_a_letter_tells_why_by_whom_and_where_but_keeps_no_picture(settings: KafkaSettings) -> None:
    (letter,) = written(settings, LETTER)
    assert letter.key == b"cam1"
    assert letter.value == b""
    assert letter.headers == (
        ("dead-letter.reason", b"schema is missing"),
        ("dead-letter.service", b"detect"),
        ("dead-letter.origin", b"frames/3@17"),
        ("dead-letter.value-bytes", b"8"),
        ("trace", b"\xff"),
    )


def test_a_letter_keeps_the_picture_when_told_to(settings: KafkaSettings) -> None:
    keeping = settings.model_copy(update={"dead_letter_pictures": True})
    (letter,) = written(keeping, LETTER)
    assert letter.value == b"not ours"


@pytest.mark.parametrize(
    "raw",
    [
        Encoded(b"k" * 1_900_000, b"x" * 150_000, ()),
        Encoded(b"", b"", (("trace", b"x" * 2_000_000),)),
        Encoded(b"", b"", (("", b""),) * 500_000),
    ],
    ids=["key", "header", "headers"],
)
def test_a_letter_about_a_monster_is_written_without_it(settings: KafkaSettings, raw: Encoded) -> None:
    keeping = settings.model_copy(update={"dead_letter_pictures": True})
    (letter,) = written(keeping, DeadLetter("too large", "detect", "frames/0@0", raw))
    assert letter.size_bytes < 1_000
    assert letter.headers[0] == ("dead-letter.reason", b"too large")
