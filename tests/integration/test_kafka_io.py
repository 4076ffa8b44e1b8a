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

from agegender.shared.errors import SettingsError
from agegender.shared.kafka.output import KafkaDeadLetters, KafkaOutput
from agegender.shared.kafka.topics import DEAD_LETTERS_NAME, FACES, FRAMES, RESULTS
from agegender.shared.messages.codec import MAX_MESSAGE_BYTES, Encoded
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.dead_letters import DeadLetter
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


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Ours: the client warns of slow machines."""
    ours = [record for record in caplog.records if record.name.startswith("agegender.")]
    return [vars(record) for record in ours if record.levelname == "WARNING"]


@pytest.mark.parametrize(
    ("topic", "kept_s"), [("frames", 600), ("faces", 600), ("results", 86_400), ("dead-letters", 604_800)]
)
def test_a_topic_keeps_messages_for_its_retention(
    settings: KafkaSettings,
    admin: Admin,
    caplog: pytest.LogCaptureFixture,
    topic: str,
    kept_s: int,
) -> None:
    name = f"{settings.topic_prefix}{topic}"
    outputs: dict[str, KafkaOutput[Any] | KafkaDeadLetters] = {
        one.name: KafkaOutput(one, settings) for one in (FRAMES, FACES, RESULTS)
    }
    outputs[DEAD_LETTERS_NAME] = KafkaDeadLetters(settings)
    for _ in ("made", "found"):
        until_done(outputs[topic].open)
        outputs[topic].close()
    (described,) = admin.describe_topics([name])
    found = configs(admin, name)
    assert len(described["partitions"]) == 4
    assert found["cleanup.policy"] == "delete"
    assert found["retention.ms"] == str(kept_s * 1000)
    # Kafka deletes whole segments: one must be closed well before the pictures in it are due.
    assert int(found["segment.ms"]) <= int(found["retention.ms"]) / 4
    assert found["message.timestamp.type"] == "LogAppendTime"
    assert int(found["max.message.bytes"]) > MAX_MESSAGE_BYTES
    assert warnings_of(caplog) == []


@pytest.mark.parametrize(
    ("theirs", "told"),
    [
        ({}, [("retention.ms", "604800000"), ("segment.ms", "604800000")]),
        ({"retention.ms": "-1", "segment.ms": "150000"}, [("retention.ms", "-1")]),
        ({"retention.ms": "600001", "segment.ms": "150000"}, [("retention.ms", "600001")]),
        ({"retention.ms": "600000", "segment.ms": "150001"}, [("segment.ms", "150001")]),
        (
            {"cleanup.policy": "compact", "retention.ms": "60000", "segment.ms": "60000"},
            [("cleanup.policy", "compact")],
        ),
        ({"cleanup.policy": "compact,delete", "retention.ms": "60000", "segment.ms": "60000"}, []),
    ],
)
def test_a_topic_with_longer_retention_is_reported_and_unchanged(
    settings: KafkaSettings,
    admin: Admin,
    caplog: pytest.LogCaptureFixture,
    theirs: dict[str, str],
    told: list[tuple[str, str]],
) -> None:
    name = f"{settings.topic_prefix}frames"
    admin.create_topics({name: {"configs": theirs}}, wait_for_metadata=True)
    before = configs(admin, name)
    with opened(frames_source(settings)):
        assert configs(admin, name) == before
    warned = warnings_of(caplog)
    assert [(one["setting"], one["found"]) for one in warned] == told
    for one in warned:
        assert one["topic"] == name
        assert f"--entity-name {name} --add-config {one['setting']}={one['expected']}" in one["advice"]
        alter = {one["setting"]: one["expected"]}
        admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, alter)])
    caplog.clear()
    with opened(frames_output(settings)):
        assert warnings_of(caplog) == []


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


def test_a_topic_for_small_messages_is_a_settings_error(settings: KafkaSettings, admin: Admin) -> None:
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


def test_a_letter_has_reason_and_origin_but_no_picture(settings: KafkaSettings) -> None:
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
