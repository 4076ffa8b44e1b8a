"""Detect is killed again and again with persons before the camera: each of them stays one person."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from agegender.shared.messages.pipeline import Frame
from agegender.shared.messages.visits import Visit
from agegender.shared.process.settings import RedisSettings
from agegender.shared.store import ResultStore, connect
from agegender.simulator.content.scenes import no_faces, pair_scene
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.pipeline import Distributed
from tests.support.services import Service
from tests.support.waiting import wait_until

pytestmark = pytest.mark.timeout(180)

CAMERA = "door"
KILLS = 3
SESSION_S = 6


@pytest.fixture
def cameras() -> Iterator[CameraSimulator]:
    with CameraSimulator() as simulator:
        simulator.add("pair", pair_scene(swapped=False).path)
        simulator.add("empty", no_faces().path)
        yield simulator


@pytest.fixture
def pipeline(
    kafka: str, redis_database: str, cameras: CameraSimulator, random_suffix: str, tmp_path: Path
) -> Distributed:
    """The four services, not started yet."""
    look_at(cameras.url("pair"), tmp_path)
    return Distributed(
        kafka,
        redis_database,
        f"{random_suffix}-",
        tmp_path / "cameras.yaml",
        tmp_path,
        DETECT_SELECTION="all",
        KAFKA_SESSION_TIMEOUT_S=str(SESSION_S),
    )


def look_at(url: str, folder: Path) -> None:
    """The one camera shows this from the next start of ingest on."""
    listed = {"cameras": [{"id": CAMERA, "source": url}]}
    (folder / "cameras.yaml").write_text(yaml.safe_dump(listed))


def kill_in_the_middle(detect: Service, chance: random.Random) -> None:
    """Kills detect some time after it has taken over, while it catches up, and starts it again."""
    received = "agegender_messages_received_total"
    wait_until(lambda: detect.metric(received) > 0, 40, "detect has work")
    until_s = time.monotonic() + chance.uniform(0.0, 1.5)
    wait_until(lambda: time.monotonic() > until_s, 5, "the moment has come")
    detect.kill()
    detect.start().wait_until_ready()


def visits(pipeline: Distributed) -> list[Visit]:
    with connect(RedisSettings().at(pipeline.redis_url)) as client:
        return list(ResultStore(client).visits(limit=100).items)


def told_as_closed(pipeline: Distributed) -> list[str]:
    with connect(RedisSettings().at(pipeline.redis_url)) as client:
        found, _ = ResultStore(client).closed({}, limit=100)
    return [one.track_id for one in found]


def counted(pipeline: Distributed, frames: list[Frame]) -> int:
    since_s = frames[0].captured_at_s - 60
    with connect(RedisSettings().at(pipeline.redis_url)) as client:
        found = ResultStore(client).counts(since_s=since_s, until_s=since_s + 600, by="minute")
    return sum(one.visits for one in found)


@pytest.mark.parametrize("redis_url", ["valkey"], indirect=True)
def test_visits_are_counted_once_when_detect_is_killed_often(
    pipeline: Distributed, cameras: CameraSimulator, tmp_path: Path
) -> None:
    chance = random.Random(20)  # noqa: S311  (no secret)
    ingest, detect = pipeline.services["ingest"], pipeline.services["detect"]
    with pipeline.running():
        for _ in range(KILLS):
            kill_in_the_middle(detect, chance)
        wait_until(lambda: len(visits(pipeline)) >= 2, 40, "there are persons")
        assert ingest.stop() == 0
        frames = pipeline.frames()
        faces = {f"{frame.info.frame_id}/{index}" for frame in frames for index in (0, 1)}
        wait_until(lambda: pipeline.results_written(CAMERA) >= len(faces), 60, "all faces are in the store")

        # A scene without anybody ends their visits.
        look_at(cameras.url("empty"), tmp_path)
        ingest.start()
        wait_until(lambda: len(told_as_closed(pipeline)) >= 2, 30, "both are told to have left")

        found = visits(pipeline)
        assert [one.closed for one in found] == ["left", "left"]
        assert {one.frames for one in found} == {len(frames)}
        assert Counter(told_as_closed(pipeline)) == {one.track_id: 1 for one in found}
        assert counted(pipeline, frames) == 2
        stored = Counter(result.face.face_id for result in pipeline.results(CAMERA))
        assert set(stored) == faces
        assert set(stored.values()) == {1}
