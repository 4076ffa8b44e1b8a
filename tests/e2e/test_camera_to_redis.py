"""Two cameras, four processes, a real Kafka, a real store: every published frame's faces, exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import pytest
import redis
import yaml
from kafka import KafkaProducer

from agegender.shared.messages.pipeline import Result
from agegender.simulator.content.scenes import Scene, pair_scene
from agegender.simulator.rtsp.auth import Login
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.pipeline import Distributed
from tests.support.waiting import wait_until

PASSWORD = "pä55 @:/%#word"
CAMERAS = ("door", "hall")


@pytest.fixture(scope="module")
def scenes() -> dict[str, Scene]:
    """`door` shows the pair, `hall` the same two people with their places swapped."""
    return {"door": pair_scene(swapped=False), "hall": pair_scene(swapped=True)}


@pytest.fixture
def distributed(
    kafka: str, redis_database: str, random_suffix: str, tmp_path: Path, scenes: dict[str, Scene]
) -> Iterator[tuple[Distributed, CameraSimulator]]:
    """The four services, reading an open camera and one behind a login."""
    with CameraSimulator() as open_cameras, CameraSimulator(login=Login("viewer", PASSWORD)) as locked:
        password_file = tmp_path / "password"
        password_file.write_text(PASSWORD + "\n")
        cameras = [
            {"id": "door", "source": open_cameras.add("door", scenes["door"].path)},
            {
                "id": "hall",
                "source": locked.add("hall", scenes["hall"].path),
                "username": "viewer",
                "password_file": str(password_file),
            },
        ]
        cameras_file = tmp_path / "cameras.yaml"
        cameras_file.write_text(yaml.safe_dump({"cameras": cameras}))
        pipeline = Distributed(
            kafka, redis_database, f"{random_suffix}-", cameras_file, tmp_path, DETECT_SELECTION="all"
        )
        with pipeline.running():
            yield pipeline, open_cameras


def _published(pipeline: Distributed, camera: str) -> float:
    return pipeline.services["ingest"].metric("agegender_messages_sent_total", camera=camera)


def _wait_for_frames(pipeline: Distributed, more: int, timeout_s: float) -> None:
    goals = {camera: _published(pipeline, camera) + more for camera in CAMERAS}
    wait_until(
        lambda: all(_published(pipeline, camera) >= goal for camera, goal in goals.items()),
        timeout_s,
        f"{more} more frames of each camera are published",
    )


def _check_people(results: list[Result], scene: Scene) -> None:
    """Each label belongs to the face at that place: by gender always, by age in the order of the two."""
    by_place: dict[int, list[Result]] = {0: [], 1: []}
    for result in results:
        by_place[result.face.index].append(result)
    for place, visit in enumerate(scene.left_to_right):
        genders = Counter(result.gender for result in by_place[place])
        wrong = len(by_place[place]) - genders[visit.gender] - genders["unknown"]
        assert wrong == 0, (visit, genders)
        assert genders[visit.gender] >= 0.7 * len(by_place[place]), (visit, genders)
    ages = [mean(r.age_years for r in by_place[place] if r.age_years is not None) for place in (0, 1)]
    older = max((0, 1), key=lambda place: scene.left_to_right[place].looks_years)
    assert ages[older] > ages[1 - older] + 5, ages


def test_each_face_is_stored_once_with_the_right_labels(
    distributed: tuple[Distributed, CameraSimulator], scenes: dict[str, Scene]
) -> None:
    pipeline, _ = distributed
    _wait_for_frames(pipeline, more=20, timeout_s=60)
    assert pipeline.services["ingest"].stop() == 0

    frames = pipeline.frames()
    expected = {camera: sum(f.camera_id == camera for f in frames) * 2 for camera in CAMERAS}
    wait_until(
        lambda: all(pipeline.results_written(camera) >= n for camera, n in expected.items()),
        60,
        f"the store holds {expected} results",
    )
    for name in ("detect", "classify", "sink"):
        assert pipeline.services[name].stop() == 0

    for camera in CAMERAS:
        results = pipeline.results(camera)
        found = Counter(result.face.face_id for result in results)
        wanted = {
            f"{frame.info.frame_id}/{i}" for frame in frames if frame.camera_id == camera for i in (0, 1)
        }
        assert set(found) == wanted
        assert set(found.values()) == {1}
        assert {result.face.faces_in_frame for result in results} == {2}
        assert {result.face.frame.clock for result in results} == {"camera"}
        _check_people(results, scenes[camera])


def test_the_password_of_a_camera_is_in_no_log_topic_or_store(
    distributed: tuple[Distributed, CameraSimulator],
) -> None:
    pipeline, _ = distributed
    _wait_for_frames(pipeline, more=3, timeout_s=60)
    needles = [PASSWORD, "p%C3%A455%20%40%3A%2F%25%23word"]
    everywhere = [service.log_text() for service in pipeline.services.values()]
    for topic in ("frames", "faces", "results"):
        everywhere += [repr(record.key) + repr(record.headers) for record in pipeline.records(topic)]
    with redis.Redis.from_url(pipeline.redis_url) as client:
        everywhere += [repr(client.dump(key)) for key in client.scan_iter()]
    assert not [text for text in everywhere for needle in needles if needle in text]


def test_a_returning_camera_gives_frames_within_five_seconds(
    distributed: tuple[Distributed, CameraSimulator],
) -> None:
    pipeline, open_cameras = distributed
    _wait_for_frames(pipeline, more=3, timeout_s=60)
    ingest = pipeline.services["ingest"]
    open_cameras.stop_camera("door")
    wait_until(lambda: ingest.metric("agegender_camera_up_bool", camera="door") == 0, 15, "door is down")
    refused = "agegender_camera_failures_total"
    wait_until(
        lambda: ingest.metric(refused, camera="door", reason="refused") >= 3, 20, "door is tried again"
    )
    assert ingest.metric("agegender_camera_up_bool", camera="hall") == 1

    open_cameras.start_camera("door")
    before = _published(pipeline, "door")
    wait_until(lambda: _published(pipeline, "door") > before, 5, "door gives frames again")


def test_foreign_messages_become_dead_letters(
    distributed: tuple[Distributed, CameraSimulator],
) -> None:
    pipeline, _ = distributed
    producer = KafkaProducer(bootstrap_servers=pipeline.kafka)
    for topic in ("frames", "faces", "results"):
        producer.send(f"{pipeline.prefix}{topic}", key=b"door", value=b"\x00 not ours").get(timeout=10)
    empty_picture = [("schema", b"frame/1"), ("meta", b'{"camera_id": "door"}')]
    producer.send(f"{pipeline.prefix}frames", key=b"door", value=b"", headers=empty_picture).get(timeout=10)
    producer.close()

    wait_until(lambda: len(pipeline.records("dead-letters")) >= 4, 30, "four dead letters are written")
    letters = [dict(letter.headers) for letter in pipeline.records("dead-letters")]
    assert Counter(letter["dead-letter.service"] for letter in letters) == {
        b"detect": 2,
        b"classify": 1,
        b"sink": 1,
    }
    assert all(letter["dead-letter.reason"] for letter in letters)
    assert all(b"@" in letter["dead-letter.origin"] for letter in letters)
    assert {letter.value for letter in pipeline.records("dead-letters")} == {b""}, "pictures are not kept"

    before = {camera: pipeline.results_written(camera) for camera in CAMERAS}
    wait_until(
        lambda: all(pipeline.results_written(camera) > n for camera, n in before.items()),
        30,
        "results go on after bad messages",
    )
