"""Live cameras catch up with the present, complete sources lose nothing: in outages, and under overload."""

from __future__ import annotations

import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import pytest
import yaml
from kafka import KafkaAdminClient
from typer.testing import CliRunner

from agegender.cli import app
from agegender.shared.images.pictures import Bgr
from agegender.shared.messages.pipeline import Frame
from agegender.simulator.content.clips import write_video
from agegender.simulator.content.scenes import pair_scene
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.kafka_broker import KafkaBroker
from tests.support.pipeline import SERVICES, Distributed
from tests.support.waiting import wait_until

pytestmark = [
    # Redis and Valkey differ in nothing that matters here.
    pytest.mark.parametrize("redis_url", ["valkey"], indirect=True),
    pytest.mark.timeout(180),
]

FACES_IN_FRAME = 2
STALE_S = 4.0
FILE_FRAMES = 300
RATE_HZ = 2


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute at five frames a second, two people in every frame: not read to its end before the outage."""
    picture = _first_picture(pair_scene(swapped=False).path)
    path = tmp_path_factory.mktemp("clips") / "archive.mp4"
    write_video(path, itertools.repeat(picture, FILE_FRAMES), size_wh=(640, 360), fps=5)
    return path


def _first_picture(path: Path) -> Bgr:
    ok, picture = cv2.VideoCapture(str(path)).read()
    assert ok
    return np.asarray(cv2.resize(picture, (640, 360), interpolation=cv2.INTER_AREA), np.uint8)


@pytest.fixture
def simulator() -> Iterator[CameraSimulator]:
    with CameraSimulator() as cameras:
        for name in ("door", "hall"):
            cameras.add(name, pair_scene(swapped=name == "hall").path)
        yield cameras


class Make(Protocol):
    """Four services that are not started yet."""

    def __call__(self, cameras: Mapping[str, Mapping[str, object]], **settings: str) -> Distributed:
        """Of cameras by their names; one without a source is of the simulator."""


@pytest.fixture
def make(
    mortal_broker: KafkaBroker,
    redis_database: str,
    simulator: CameraSimulator,
    random_suffix: str,
    tmp_path: Path,
) -> Make:
    usual = {
        "KAFKA_SESSION_TIMEOUT_S": "6",
        "INGEST_FPS": str(RATE_HZ),
        "INGEST_NO_FRAME_S": "2",
        "DETECT_SELECTION": "all",
        "DETECT_LONGER_SIDE_PX": "480",
        "CLASSIFY_NETS": "fast",
    }

    def made(cameras: Mapping[str, Mapping[str, object]], **settings: str) -> Distributed:
        path = tmp_path / "cameras.yaml"
        listed = [
            {"id": name, "source": fields.get("source") or simulator.url(name), **fields}
            for name, fields in cameras.items()
        ]
        path.write_text(yaml.safe_dump({"cameras": listed}))
        return Distributed(
            mortal_broker.bootstrap_servers,
            redis_database,
            f"{random_suffix}-",
            path,
            tmp_path,
            **{**usual, **settings},  # type: ignore[arg-type]
        )

    return made


def metric(pipeline: Distributed, of: str, name: str, **labels: str) -> float:
    return pipeline.services[of].metric(f"agegender_{name}", **labels)


def dropped(pipeline: Distributed, service: str, camera: str, reason: str) -> float:
    return metric(pipeline, service, "messages_dropped_total", service=service, camera=camera, reason=reason)


def sent(pipeline: Distributed, camera: str) -> float:
    return metric(pipeline, "ingest", "messages_sent_total", camera=camera)


def audit(pipeline: Distributed) -> dict[str, Any]:
    """The report of `agegender audit --json` once it finds no difference; the last one otherwise."""
    addresses = [f"127.0.0.1:{pipeline.services[name].port}" for name in SERVICES]
    options = [part for address in addresses for part in ("--metrics", address)]
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": pipeline.kafka,
        "KAFKA_TOPIC_PREFIX": pipeline.prefix,
        "REDIS_URL": pipeline.redis_url,
    }
    done = CliRunner().invoke(app, ["audit", *options, "--json"], env=environment)
    assert done.stdout, done.exception
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def booked(report: dict[str, Any], camera: str, whole: str) -> dict[str, int]:
    """The parts of one balance of a camera."""
    (found,) = [one for one in report["cameras"][camera] if one["whole"]["name"] == whole]
    return {part["name"]: part["count"] for part in found["parts"] if part["count"]}


def frames_of(pipeline: Distributed, camera: str) -> list[Frame]:
    return [frame for frame in pipeline.frames() if frame.camera_id == camera]


def check_every_face_is_stored_once(pipeline: Distributed, camera: str) -> None:
    frames = frames_of(pipeline, camera)
    expected = {f"{frame.info.frame_id}/{index}" for frame in frames for index in range(FACES_IN_FRAME)}
    wait_until(
        lambda: pipeline.results_written(camera) >= len(expected),
        60,
        f"all faces of {camera} are in the store",
    )
    stored = Counter(result.face.face_id for result in pipeline.results(camera))
    assert set(stored) == expected
    assert set(stored.values()) == {1}


def test_after_a_kafka_outage_cameras_are_current_files_whole(
    make: Make, clip: Path, mortal_broker: KafkaBroker
) -> None:
    pipeline = make(
        {"door": {}, "archive": {"source": str(clip), "fps": 5}},
        INGEST_STALE_S=str(STALE_S),
        INGEST_BUFFER_BYTES="50000000",
        INGEST_MAX_BACKLOG="30",
    )
    with pipeline.running():
        wait_until(lambda: sent(pipeline, "door") >= 5 and sent(pipeline, "archive") >= 5, 60, "frames flow")
        mortal_broker.kill()
        try:
            buffered = "buffered_messages"
            wait_until(
                lambda: metric(pipeline, "ingest", buffered, camera="door") >= RATE_HZ * 3 * STALE_S,
                40,
                "ingest keeps the frames of three deadlines",
            )
            before = sent(pipeline, "archive")
            assert before < FILE_FRAMES
        finally:
            mortal_broker.start()
        returned_s = time.time()
        wait_until(lambda: dropped(pipeline, "ingest", "door", "stale") >= 10, 20, "old frames are dropped")
        wait_until(
            lambda: any(one.captured_at_s > returned_s for one in frames_of(pipeline, "door")),
            20,
            "frames of the present go through",
        )
        assert dropped(pipeline, "ingest", "door", "full") == 0
        wait_until(lambda: sent(pipeline, "archive") == FILE_FRAMES, 60, "the file is read to its end")
        assert metric(pipeline, "ingest", "messages_dropped_total", camera="archive") == 0
        check_every_face_is_stored_once(pipeline, "archive")
        report = audit(pipeline)
        assert report["differences"] == []
        assert booked(report, "archive", "frames captured") == {"published": FILE_FRAMES}
        assert booked(report, "door", "frames captured")["dropped: stale"] >= 10
        sequences = [frame.info.sequence for frame in frames_of(pipeline, "door")]
        assert sequences == sorted(sequences)


def test_frames_that_ingest_drops_without_kafka_are_counted(make: Make, mortal_broker: KafkaBroker) -> None:
    pipeline = make({"door": {}}, INGEST_STALE_S="600", INGEST_BUFFER_BYTES="600000")
    with pipeline.running():
        ingest = pipeline.services["ingest"]
        wait_until(lambda: sent(pipeline, "door") >= 5, 60, "frames flow")
        mortal_broker.kill()
        try:
            wait_until(lambda: dropped(pipeline, "ingest", "door", "full") >= 3, 60, "the buffer is full")
            kept = metric(pipeline, "ingest", "buffered_messages")
            captured = metric(pipeline, "ingest", "frames_captured_total")
            known = metric(pipeline, "ingest", "messages_dropped_total") + sent(pipeline, "door") + kept
            assert 0 <= captured - known <= 2
            assert ingest.stop() == 0
        finally:
            mortal_broker.start()
    (last,) = [one for one in ingest.log_events() if one["event"] == "frames dropped at the stop"]
    assert isinstance(last["frames"], int)
    assert last["frames"] >= kept - 3


def test_after_a_detect_outage_stale_live_frames_are_skipped(
    make: Make,
) -> None:
    pipeline = make({"door": {}, "hall": {"mode": "complete"}}, DETECT_STALE_S=str(STALE_S))
    with pipeline.running():
        wait_until(
            lambda: all(pipeline.results_written(one) >= 4 for one in ("door", "hall")), 60, "results flow"
        )
        detect = pipeline.services["detect"]
        detect.kill()
        goals = {camera: sent(pipeline, camera) + RATE_HZ * 3 * STALE_S for camera in ("door", "hall")}
        wait_until(
            lambda: all(sent(pipeline, camera) >= goal for camera, goal in goals.items()),
            60,
            "frames of three deadlines wait",
        )
        detect.start().wait_until_ready()
        wait_until(lambda: dropped(pipeline, "detect", "door", "stale") >= 10, 60, "old frames are skipped")
        written = pipeline.results_written("door")
        wait_until(lambda: pipeline.results_written("door") >= written + 10, 60, "the newest go through")
        report = audit(pipeline)
        assert report["differences"] == []
        looked_at = booked(report, "door", "frames in the topic")
        assert looked_at["dropped: stale"] >= 10
        assert looked_at["processed"] > 0
        assert "dropped: stale" not in booked(report, "hall", "frames in the topic")
        assert pipeline.services["ingest"].stop() == 0
        check_every_face_is_stored_once(pipeline, "hall")


def members(pipeline: Distributed, group: str) -> set[str]:
    with KafkaAdminClient(bootstrap_servers=pipeline.kafka) as client:
        (found,) = client.describe_groups([pipeline.prefix + group]).values()
    return {str(member["member_id"]) for member in found["members"]}


def test_for_a_slow_detect_frames_are_thinned_and_it_stays_in_the_group(make: Make) -> None:
    pipeline = make(
        {"door": {"fps": 25}, "hall": {"fps": 25}}, DETECT_STALE_S="5", DETECT_LONGER_SIDE_PX="1280"
    )
    with pipeline.running():
        wait_until(lambda: pipeline.results_written("door") >= 4, 60, "results flow")
        before = members(pipeline, "detect")
        wait_until(
            lambda: sum(dropped(pipeline, one, "door", "busy") for one in ("ingest", "detect")) >= 50,
            90,
            "detect cannot keep up",
        )
        cameras = ("door", "hall")
        written = sum(map(pipeline.results_written, cameras))
        wait_until(
            lambda: sum(map(pipeline.results_written, cameras)) >= written + 20, 60, "it still looks at some"
        )
        assert members(pipeline, "detect") == before
        newest = pipeline.results("door")[0]
        assert newest.face.detected_at_s - newest.captured_at_s < 5 + 2
        assert audit(pipeline)["differences"] == []
