"""Checkpoints on a real broker: each member finds those of its assignment, and in time."""

from __future__ import annotations

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from kafka import KafkaProducer

from agegender.services.detect.checkpoints import CHECKPOINTS
from agegender.services.detect.tracking.camera_tracks import CameraTracks
from agegender.services.detect.tracking.checkpoint import Checkpoint
from agegender.shared.errors import NotNow
from agegender.shared.kafka.changelog import KafkaChangelog
from agegender.shared.kafka.source import KafkaSource
from agegender.shared.kafka.topic_admin import ensure_compacted_topic
from agegender.shared.kafka.topics import FRAMES
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.transport import Assignment
from tests.support.kafka_frames import (
    CAMERAS,
    frames_output,
    frames_source,
    numbers,
    opened,
    until_done,
)
from tests.support.made_messages import frame_info
from tests.support.waiting import wait_until


@pytest.fixture
def settings(kafka: str, random_suffix: str) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=kafka, topic_prefix=f"{random_suffix}-", partitions=4, session_timeout_s=6
    )


def state(camera_id: str, sequence: int = 0) -> Checkpoint:
    camera, info = CameraTracks(), frame_info(camera_id, sequence=sequence)
    camera.update(info, [])
    return camera.checkpoint()


def assignment(*held: int, partitions: int = 4) -> Assignment:
    return Assignment(frozenset(held), partitions)


def test_what_is_known_of_a_camera_lies_where_its_frames_lie(settings: KafkaSettings) -> None:
    changelog = KafkaChangelog(CHECKPOINTS, settings)
    changelog.read(assignment(0))
    changelog.write([state(camera) for camera in CAMERAS])
    changelog.close()
    with opened(frames_output(settings)) as output, opened(frames_source(settings)) as source:
        output.write(numbers(0, cameras=CAMERAS))
        held: dict[int, set[str]] = {number: set() for number in range(4)}

        def all_found() -> bool:
            for one in source.poll(50, 0.2):
                assert one.raw is not None
                held[int(one.origin.rpartition("/")[2].partition("@")[0])].add(one.raw.key.decode())
            return sum(len(cameras) for cameras in held.values()) == len(CAMERAS)

        wait_until(all_found, 20, "all frames are found")
    for number, cameras in held.items():
        assert {one.camera_id for one in changelog.read(assignment(number))} == cameras
    assert {one.camera_id for one in changelog.read(assignment(0, 2))} == held[0] | held[2]
    assert not changelog.read(assignment())


def test_the_last_states_of_a_camera_are_read_in_order(settings: KafkaSettings) -> None:
    changelog = KafkaChangelog(CHECKPOINTS, settings)
    changelog.read(assignment(0))
    for sequence in range(10):
        changelog.write([state("cam1", sequence), state("cam2", sequence)])
    changelog.close()
    found = [one for one in changelog.read(assignment(0, 1, 2, 3)) if one.camera_id == "cam1"]
    assert [one.newest.sequence for one in found] == [6, 7, 8, 9]


def test_what_is_no_state_is_left_out(settings: KafkaSettings, caplog: pytest.LogCaptureFixture) -> None:
    changelog = KafkaChangelog(CHECKPOINTS, settings)
    changelog.read(assignment(0))
    producer = KafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    producer.send(changelog.name, key=b"cam1", value=b"\x00 not ours").get(timeout=10)
    producer.close()
    changelog.write([state("cam2")])
    changelog.close()
    assert [one.camera_id for one in changelog.read(assignment(0, 1, 2, 3))] == ["cam2"]
    assert "unreadable message" in caplog.text


def test_a_changelog_grows_and_too_many_partitions_are_refused(
    settings: KafkaSettings,
) -> None:
    changelog = KafkaChangelog(CHECKPOINTS, settings)
    ensure_compacted_topic(settings, changelog.name, 2, CHECKPOINTS.retention_s)
    assert not changelog.read(assignment(3))
    with pytest.raises(NotNow, match=r"has 4 partitions, expected 3: .* Delete the topic"):
        changelog.read(assignment(0, partitions=3))


def test_an_assignment_is_announced_after_the_commit(
    settings: KafkaSettings,
) -> None:
    shares: list[Assignment] = []

    def take_over(new: Assignment) -> None:
        if not shares:
            shares.append(new)
            raise NotNow("not yet")
        shares.append(new)

    with opened(frames_output(settings)) as output:
        output.write(numbers(0, 1, cameras=CAMERAS))
    with opened(KafkaSource(FRAMES, "readers", settings, take_over)) as source:
        refusals = 0

        def some_are_handed_out() -> bool:
            nonlocal refusals
            try:
                return bool(source.poll(5, 0.2))
            except NotNow:
                refusals += 1
                return False

        wait_until(some_are_handed_out, 20, "frames are handed out")
        assert refusals == 1
        assert shares == [assignment(0, 1, 2, 3)] * 2

        with opened(frames_source(settings)) as other:

            def is_shared() -> bool:
                assert len(shares) == 2
                source.keep_alive()
                other.poll(1, 0.1)
                return len(source._held) == 2

            wait_until(is_shared, 20, "the partitions are shared")
            assert not source.poll(5, 0.2)
            assert len(shares) == 2
            until_done(source.commit)
            source.poll(5, 0.2)
            assert shares[2:] == [Assignment(source._held, 4)]
