"""Ingest workers that share cameras, as processes, on a real broker: each camera is pulled by one of them."""

from __future__ import annotations

import contextlib
import gc
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.shared.cameras.record import CameraSettings
from agegender.shared.kafka.table import KafkaTable
from agegender.shared.kafka.topics import CAMERAS, FRAMES
from agegender.shared.process.settings import KafkaSettings
from agegender.simulator.content.clips import write_video
from agegender.simulator.rtsp.auth import Login
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.kafka_broker import KafkaBroker
from tests.support.kafka_frames import until_done
from tests.support.pipeline import read_topic
from tests.support.services import Service
from tests.support.waiting import wait_until

SESSION_S = 6.0
MARGIN_S = 4.0
"""For Kafka to look, for the group to share out, and for the cameras to be opened, on a busy machine."""
PASSWORD = "s3cretpw"
SIX = tuple(f"cam{number}" for number in range(6))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Begins anew, with a keyframe, every fifth of a second."""
    path = tmp_path_factory.mktemp("clips") / "short.mp4"
    write_video(path, (np.full((90, 160, 3), n * 40, np.uint8) for n in range(5)), size_wh=(160, 90), fps=25)
    return path


class Site:
    """Cameras, a table of them in Kafka, and the workers that read them."""

    def __init__(self, bootstrap_servers: str, prefix: str, clip: Path, folder: Path) -> None:
        self.kafka = KafkaSettings(
            bootstrap_servers=bootstrap_servers, topic_prefix=prefix, session_timeout_s=SESSION_S
        )
        self.simulator = CameraSimulator(login=Login("viewer", PASSWORD))
        self.table: KafkaTable[CameraSettings] = KafkaTable(CAMERAS, self.kafka, partitions=64)
        self._clip = clip
        self._folder = folder
        self.workers: list[Service] = []

    def add(self, *names: str, **fields: object) -> None:
        """Puts cameras up, where they are new, and into the table."""
        settings = {}
        for name in names:
            with contextlib.suppress(ValueError):  # it is up already
                self.simulator.add(name, self._clip)
            login = {"username": "viewer", "password_env": "CAMERA_PASSWORD"}
            settings[name] = CameraSettings.model_validate(
                {"id": name, "source": self.simulator.url(name), **login, **fields}
            )
        self.table.write(settings)

    def start_worker(self) -> Service:
        """Another worker; it is ready once it is a member of the group."""
        folder = self._folder / f"worker{len(self.workers)}"
        folder.mkdir()
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "KAFKA_TOPIC_PREFIX": self.kafka.topic_prefix,
            "KAFKA_PARTITIONS": "2",
            "KAFKA_SESSION_TIMEOUT_S": str(SESSION_S),
            "CAMERA_PASSWORD": PASSWORD,
        }
        worker = Service("ingest", settings, folder).start()
        self.workers.append(worker)
        return worker

    def viewers(self, *names: str) -> list[int]:
        """How many connections each camera has now."""
        return [self.simulator.audience(name).now for name in names]

    def most(self, *names: str) -> list[int]:
        """How many connections each camera had at most at a time."""
        return [self.simulator.audience(name).most for name in names]

    def admitted(self, *names: str) -> list[int]:
        """How many connections each camera had in all."""
        return [self.simulator.audience(name).admitted for name in names]

    def wait_until_held(self, *numbers: int, timeout_s: float = 30) -> None:
        """Waits until the running workers hold so many cameras each, and each camera has one connection."""

        def held() -> bool:
            cameras = [one.metric("agegender_held_cameras") for one in self.workers if one.running]
            return sorted(cameras) == sorted(numbers)

        wait_until(held, timeout_s, f"the workers hold {numbers} cameras")

    def wait_until_pulled(self, *names: str, timeout_s: float = 10) -> None:
        """Waits until each of these cameras has exactly one connection."""
        wait_until(lambda: self.viewers(*names) == [1] * len(names), timeout_s, f"{names} are pulled")

    def streams(self) -> dict[str, list[str]]:
        """Camera → the streams of which frames were published, in order."""
        found: dict[str, list[str]] = defaultdict(list)
        for record in read_topic(self.kafka.bootstrap_servers, self.kafka.topic_prefix + FRAMES.name):
            frame = FRAMES.codec.decode(record)
            if frame.info.stream_id not in found[frame.camera_id][-1:]:
                found[frame.camera_id].append(frame.info.stream_id)
        return found

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
        self.table.close()
        self.simulator.close()


@pytest.fixture
def site(kafka: str, random_suffix: str, clip: Path, tmp_path: Path) -> Iterator[Site]:
    one = Site(kafka, f"{random_suffix}-", clip, tmp_path)
    until_done(one.table.open)
    yield one
    one.close()


def test_two_workers_share_cameras_and_follow_every_change(site: Site) -> None:
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
    assert PASSWORD not in "".join(worker.log_text() for worker in site.workers)


def test_cameras_of_a_dead_or_frozen_worker_are_taken_over_once(
    site: Site,
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
    site = Site(own_broker.bootstrap_servers, f"{random_suffix}-", clip, tmp_path)
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
