"""Several workers share the partitions of a topic, on a real broker."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Event
from typing import Any

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import MemberToRemove

from agegender.shared.errors import NotNow
from agegender.shared.kafka.client import committed_offsets
from agegender.shared.kafka.source import KafkaSource
from agegender.shared.kafka.topics import FRAMES
from agegender.shared.messages.pipeline import Frame
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.transport import Source
from tests.support.kafka_frames import (
    CAMERAS,
    by_camera,
    frames_of,
    frames_output,
    frames_source,
    numbers,
    opened,
    refused,
    some,
    stored,
    until_done,
)
from tests.support.waiting import wait_until

Admin = Any  # kafka-python has no types


@pytest.fixture
def settings(kafka: str, random_suffix: str) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=kafka, topic_prefix=f"{random_suffix}-", partitions=4, session_timeout_s=6
    )


@pytest.fixture
def admin(settings: KafkaSettings) -> Iterator[Any]:
    with KafkaAdminClient(bootstrap_servers=settings.bootstrap_servers) as client:
        yield client


def held(source: KafkaSource[Frame]) -> set[TopicPartition]:
    assert source._consumer is not None
    partitions: set[TopicPartition] = source._consumer.assignment()
    return partitions


def keeps_alive_until(source: Source[Frame], done: bool) -> bool:
    source.keep_alive()
    return done


def lag(settings: KafkaSettings) -> int:
    """How many frames the group has not committed."""
    group = f"{settings.topic_prefix}readers"
    try:
        offsets = committed_offsets(settings, group, settings.topic_prefix + FRAMES.name)
    except NotNow:  # a broker that has just started has no coordinator yet
        offsets = {}
    return len(stored(settings)) - sum(offsets.values())


def hold_some(settings: KafkaSettings, has_some: Event) -> None:
    """In a process of its own: takes work, and keeps it in hand until it is killed."""
    with opened(frames_source(settings)) as source:
        some(source)
        has_some.set()
        while True:
            source.keep_alive()


def work(source: KafkaSource[Frame], done: list[Frame], enough: threading.Event) -> None:
    """What a worker does all day."""
    while not enough.is_set():
        new = frames_of(source.poll(50, 0.2))
        if new:
            until_done(source.commit)
        done += new


def test_two_members_share_partitions_and_repeat_nothing(settings: KafkaSettings) -> None:
    enough = threading.Event()
    first_did, second_did = list[Frame](), list[Frame]()
    with (
        opened(frames_output(settings)) as output,
        opened(frames_source(settings)) as first,
        opened(frames_source(settings)) as second,
        ThreadPoolExecutor(2) as workers,
    ):
        workers.submit(work, first, first_did, enough)
        workers.submit(work, second, second_did, enough)
        try:
            wait_until(lambda: {len(held(one)) for one in (first, second)} == {2}, 20, "both hold partitions")
            output.write(numbers(*range(20), cameras=CAMERAS))
            wait_until(lambda: lag(settings) == 0, 20, "all is committed")
        finally:
            enough.set()
    assert first_did
    assert second_did
    assert not {one.camera_id for one in first_did} & {one.camera_id for one in second_did}
    assert by_camera(first_did + second_did) == {camera: list(range(20)) for camera in CAMERAS}


def test_what_a_leaving_member_did_not_commit_goes_to_the_other(settings: KafkaSettings) -> None:
    with opened(frames_output(settings)) as output, opened(frames_source(settings)) as leaving:
        output.write(numbers(0, 1, 2, cameras=CAMERAS))
        done = some(leaving, at_least=10, max_messages=10)
        leaving.commit()
        some(leaving, at_least=10, max_messages=10)
        leaving.close()
        with opened(frames_source(settings)) as other:
            found = some(other, at_least=36 - len(done))
    assert by_camera(done + found) == {camera: [0, 1, 2] for camera in CAMERAS}


def test_what_a_killed_member_had_in_hand_goes_to_the_other(settings: KafkaSettings) -> None:
    with opened(frames_output(settings)) as output:
        output.write(numbers(0, 1, cameras=CAMERAS))
    context = multiprocessing.get_context("spawn")
    has_some = context.Event()
    member = context.Process(target=hold_some, args=(settings, has_some))
    member.start()
    try:
        assert has_some.wait(30)
    finally:
        member.kill()
        member.join()
    with opened(frames_source(settings)) as other:
        assert by_camera(some(other, at_least=24)) == {camera: [0, 1] for camera in CAMERAS}


def test_a_waiting_member_gives_up_partitions_without_loss(
    settings: KafkaSettings,
) -> None:
    enough = threading.Event()
    ours, theirs = list[Frame](), list[Frame]()
    with (
        opened(frames_output(settings)) as output,
        opened(frames_source(settings)) as waiting,
        opened(frames_source(settings)) as other,
        ThreadPoolExecutor(1) as worker,
    ):
        output.write(numbers(0, 1, cameras=CAMERAS))
        in_hand = some(waiting, at_least=24)
        worker.submit(work, other, theirs, enough)
        try:
            wait_until(lambda: keeps_alive_until(waiting, bool(theirs)), 20, "the other has work")
            output.write(numbers(2, cameras=CAMERAS))

            def all_read() -> bool:
                ours.extend(frames_of(waiting.poll(50, 0.1)))
                return {one.camera_id for one in ours + theirs if one.info.sequence == 2} == set(CAMERAS)

            wait_until(all_read, 20, "the new frames are read")
            until_done(waiting.commit)
            # The committed offset of the other member must stay.
            wait_until(lambda: lag(settings) == 0, 20, "all is committed")
        finally:
            enough.set()
    moved = set(by_camera(theirs))
    kept = set(CAMERAS) - moved
    assert moved
    assert kept
    assert by_camera(in_hand) == {camera: [0, 1] for camera in CAMERAS}
    assert by_camera(theirs) == {camera: [0, 1, 2] for camera in moved}
    assert by_camera(ours) == {camera: [2] for camera in kept}


def test_a_removed_member_returns_and_loses_nothing(settings: KafkaSettings, admin: Admin) -> None:
    group = f"{settings.topic_prefix}readers"
    with opened(frames_output(settings)) as output, opened(frames_source(settings)) as source:
        output.write(numbers(0, 1, 2, cameras=CAMERAS))
        first = some(source, at_least=5, max_messages=5)
        (description,) = admin.describe_groups([group]).values()
        (member,) = description["members"]
        admin.remove_group_members(group, [MemberToRemove(member_id=member["member_id"])])
        assert "is rebalancing" in refused(source.commit)

        def commits() -> bool:
            source.keep_alive()
            with contextlib.suppress(NotNow):
                source.commit()
                return True
            return False

        wait_until(commits, 20, "the group has taken the member back")
        again = some(source, at_least=36)
    assert {one.info.frame_id for one in first} <= {one.info.frame_id for one in again}
    assert by_camera(again) == {camera: [0, 1, 2] for camera in CAMERAS}


def test_added_partitions_are_taken_in_however_short_the_polls(
    settings: KafkaSettings, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KafkaConsumer.DEFAULT_CONFIG, "metadata_max_age_ms", 300)
    with opened(frames_source(settings)) as source:

        def holds(partitions: int) -> bool:
            source.poll(1, 0.001)
            return len(held(source)) == partitions

        wait_until(lambda: holds(4), 20, "the partitions are assigned")
        admin.create_partitions({f"{settings.topic_prefix}frames": 5})
        wait_until(lambda: holds(5), 20, "the new partition is assigned")


def test_what_a_wait_brings_is_handed_out_afterwards(settings: KafkaSettings) -> None:
    with opened(frames_output(settings)) as output, opened(frames_source(settings)) as source:
        output.write(numbers(0, 1, cameras=CAMERAS))
        wait_until(lambda: keeps_alive_until(source, bool(held(source))), 20, "partitions are assigned")
        for _ in range(5):
            source.keep_alive()
        assert by_camera(some(source, at_least=24)) == {camera: [0, 1] for camera in CAMERAS}
