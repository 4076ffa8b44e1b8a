"""Ingest workers that share cameras, as processes, on a real broker: each camera is pulled by one of them."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.shared.kafka.topics import FRAMES
from agegender.shared.process.settings import KafkaSettings
from tests.support.camera_site import CAMERA_PASSWORD, CameraSite, short_clip
from tests.support.kafka_broker import KafkaBroker
from tests.support.kafka_frames import until_done
from tests.support.pipeline import read_topic
from tests.support.waiting import wait_until

SESSION_S = 6.0
MARGIN_S = 4.0
"""For Kafka to look, for the group to share out, and for the cameras to be opened, on a busy machine."""
SIX = tuple(f"cam{number}" for number in range(6))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return short_clip(tmp_path_factory.mktemp("clips"))


def settings_of(bootstrap_servers: str, suffix: str) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=bootstrap_servers, topic_prefix=f"{suffix}-", session_timeout_s=SESSION_S
    )


@pytest.fixture
def site(kafka: str, random_suffix: str, clip: Path, tmp_path: Path) -> Iterator[CameraSite]:
    one = CameraSite(settings_of(kafka, random_suffix), clip, tmp_path)
    until_done(one.table.open)
    yield one
    one.close()


def test_two_workers_share_cameras_and_follow_every_change(site: CameraSite) -> None:
    first, second = site.start_worker(), site.start_worker()
    for worker in (first, second):
        worker.wait_until_ready()
    site.wait_until_held(0, 0)
    site.add(*SIX)
    site.wait_until_pulled(*SIX)
    site.wait_until_held(3, 3)
    site.wait_until_pulled(*SIX)
    before = site.admitted(*SIX)

    site.add("new")
    site.wait_until_pulled("new")
    site.add("sly", password_env=None, password_file="/etc/hostname")
    wait_until(lambda: "not in INGEST_SECRETS_PATH" in first.log_text() + second.log_text(), 10, "it is told")
    assert site.admitted("sly") == [0]
    site.table.write({"sly": None})
    site.add("cam0", fps=2)
    wait_until(lambda: site.admitted("cam0")[0] > before[0], 10, "cam0 is read in its new way")
    assert site.admitted(*SIX[1:]) == before[1:]
    site.table.write({"cam1": None})
    wait_until(lambda: site.viewers("cam1") == [0], 10, "cam1 is let go")
    site.wait_until_held(3, 3)  # one camera moves where 4 and 2 are left
    site.wait_until_pulled("cam0", "new", *SIX[2:])
    assert sum(site.admitted(*SIX[1:])) <= sum(before[1:]) + 1
    assert site.most(*SIX, "new") == [1] * 7

    assert first.stop() == 0
    site.wait_until_held(6, timeout_s=MARGIN_S)  # a worker that goes says so
    site.wait_until_pulled("cam0", "new", *SIX[2:])
    assert site.most(*SIX, "new") == [1] * 7
    assert second.stop() == 0
    assert site.viewers(*SIX, "new") == [0] * 7
    streams = site.streams()
    assert streams.keys() == {*SIX, "new"}
    # Frames of a camera come from one stream after the other, and never from two in turn.
    assert all(sorted(set(one)) == one for one in streams.values())
    assert CAMERA_PASSWORD not in "".join(worker.log_text() for worker in site.workers)


def test_cameras_of_a_dead_or_frozen_worker_are_taken_over_once(
    site: CameraSite,
) -> None:
    site.add(*SIX)
    first, second = site.start_worker(), site.start_worker()
    for worker in (first, second):
        worker.wait_until_ready()
    site.wait_until_held(3, 3)
    site.wait_until_pulled(*SIX)
    first.kill()
    killed_s = time.monotonic()
    site.wait_until_held(6, timeout_s=SESSION_S + MARGIN_S)
    site.wait_until_pulled(*SIX, timeout_s=SESSION_S + MARGIN_S - (time.monotonic() - killed_s))
    assert site.most(*SIX) == [1] * 6

    third = site.start_worker().wait_until_ready()
    site.wait_until_held(3, 3)
    site.wait_until_pulled(*SIX)
    assert site.most(*SIX) == [1] * 6
    third.signal(signal.SIGSTOP)
    # The frozen process cannot close its connections: its cameras have two until it goes on.
    wait_until(
        lambda: (
            second.metric("agegender_held_cameras") == 6 and sorted(site.viewers(*SIX)) == [1] * 3 + [2] * 3
        ),
        SESSION_S + MARGIN_S,
        "the other has all cameras",
    )
    streams = site.streams()
    third.signal(signal.SIGCONT)
    wait_until(lambda: max(site.viewers(*SIX)) == 1, 1.0, "the thawed worker lets its cameras go at once")
    site.wait_until_held(3, 3)
    site.wait_until_pulled(*SIX)
    assert "camera released" in third.log_text()
    # Of the streams that it had before, nothing was published any more.
    assert all(later[: len(streams[i])] == streams[i] for i, later in site.streams().items())


def test_cameras_are_closed_while_kafka_is_away_for_a_session(
    own_broker: KafkaBroker, random_suffix: str, clip: Path, tmp_path: Path
) -> None:
    site = CameraSite(settings_of(own_broker.bootstrap_servers, random_suffix), clip, tmp_path)
    try:
        until_done(site.table.open)
        site.add("door", "hall")
        worker = site.start_worker().wait_until_ready()
        site.wait_until_pulled("door", "hall")
        site.table.close()
        own_broker.freeze()
        wait_until(lambda: site.viewers("door", "hall") == [0, 0], SESSION_S, "the cameras are let go")
        wait_until(lambda: not worker.readiness()[0], 10, "it says that it waits")
        assert worker.metric("agegender_held_cameras") == 0
        assert worker.live
        own_broker.thaw()
        site.wait_until_pulled("door", "hall", timeout_s=20)
        worker.wait_until_ready(20)
        published = len(read_topic(own_broker.bootstrap_servers, site.kafka.topic_prefix + FRAMES.name))
        wait_until(
            lambda: (
                len(read_topic(own_broker.bootstrap_servers, site.kafka.topic_prefix + FRAMES.name))
                > published
            ),
            10,
            "frames are published again",
        )
        assert worker.stop() == 0
        assert site.most("door", "hall") == [1, 1]
    finally:
        site.close()
        # The client leaves sockets to the garbage collector; it comes while their warnings are ignored.
        gc.collect()
