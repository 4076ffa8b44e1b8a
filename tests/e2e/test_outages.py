"""Servers that go and come, processes that die: what was published is in the store exactly once."""

from __future__ import annotations

import itertools
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from agegender.simulator.content.scenes import pair_scene
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.kafka_broker import KafkaBroker
from tests.support.pipeline import Distributed
from tests.support.redis_server import RedisServer
from tests.support.services import Service
from tests.support.waiting import wait_until

pytestmark = [
    # Redis and Valkey differ in nothing that matters here.
    pytest.mark.parametrize("own_redis", ["valkey"], indirect=True),
    pytest.mark.timeout(300),
]

CAMERAS = ("door", "hall")
BEHIND_KAFKA = ("detect", "classify", "sink")
FACES_IN_FRAME = 2


@pytest.fixture
def cameras() -> Iterator[CameraSimulator]:
    with CameraSimulator() as simulator:
        for name in CAMERAS:
            simulator.add(name, pair_scene(swapped=name == "hall").path)
        yield simulator


@pytest.fixture
def pipeline(
    mortal_broker: KafkaBroker,
    own_redis: RedisServer,
    cameras: CameraSimulator,
    random_suffix: str,
    tmp_path: Path,
) -> Distributed:
    """The four services, not started yet."""
    listed = [{"id": name, "source": cameras.url(name)} for name in CAMERAS]
    cameras_file = tmp_path / "cameras.yaml"
    cameras_file.write_text(yaml.safe_dump({"cameras": listed}))
    return Distributed(
        mortal_broker.bootstrap_servers,
        own_redis.url,
        f"{random_suffix}-",
        cameras_file,
        tmp_path,
        DETECT_SELECTION="all",
        KAFKA_SESSION_TIMEOUT_S="6",
        INGEST_NO_FRAME_S="2",
        INGEST_BUFFER_BYTES="0",
    )


def _sent(pipeline: Distributed, camera: str) -> float:
    return pipeline.services["ingest"].metric("agegender_messages_sent_total", camera=camera)


def _dropped(pipeline: Distributed, camera: str, **labels: str) -> float:
    return pipeline.services["ingest"].metric("agegender_messages_dropped_total", camera=camera, **labels)


def _captured(pipeline: Distributed, camera: str) -> float:
    return pipeline.services["ingest"].metric("agegender_frames_captured_total", camera=camera)


def _wait_for_each_camera(value: Callable[[str], float], more: float, timeout_s: float, what: str) -> None:
    goals = {camera: value(camera) + more for camera in CAMERAS}
    wait_until(
        lambda: all(value(camera) >= goal for camera, goal in goals.items()),
        timeout_s,
        f"{what} of each camera grew by {more:g}",
    )


def _wait_for_metric(service: Service, name: str, value: float) -> None:
    wait_until(lambda: service.metric(name) >= value, 60, f"{name} of {service.name} is {value:g}")


def _wait_for_results(pipeline: Distributed, more: int, timeout_s: float = 60) -> None:
    _wait_for_each_camera(pipeline.results_written, more, timeout_s, "the results")


def _wait_for_reason(pipeline: Distributed, name: str, reason: str) -> None:
    service = pipeline.services[name]
    wait_until(lambda: reason in service.readiness()[1], 30, f"/ready of {name} names {reason}")
    assert not service.readiness()[0]
    assert service.live


def _rest(pipeline: Distributed, cameras: CameraSimulator) -> None:
    """Stops the cameras and waits until every captured frame is sent or dropped."""
    for camera in CAMERAS:
        cameras.stop_camera(camera)
    up = "agegender_camera_up_bool"
    wait_until(lambda: pipeline.services["ingest"].metric(up) == 0, 20, "the cameras are down")
    wait_until(
        lambda: all(_captured(pipeline, c) == _sent(pipeline, c) + _dropped(pipeline, c) for c in CAMERAS),
        20,
        "captured = sent + dropped for each camera",
    )


def _check_exactly_once(pipeline: Distributed) -> None:
    """Everything that was sent is in the topic, and each of its faces is in the store once. At rest only."""
    frames = pipeline.frames()
    published = Counter(frame.camera_id for frame in frames)
    assert published == {camera: _sent(pipeline, camera) for camera in CAMERAS}
    assert len({frame.info.frame_id for frame in frames}) == len(frames)
    wait_until(
        lambda: all(pipeline.results_written(c) >= published[c] * FACES_IN_FRAME for c in CAMERAS),
        150,
        "the faces of all frames are in the store",
    )
    stored = Counter(result.face.face_id for camera in CAMERAS for result in pipeline.results(camera))
    assert set(stored) == {f"{f.info.frame_id}/{index}" for f in frames for index in range(FACES_IN_FRAME)}
    assert set(stored.values()) == {1}


def test_services_wait_for_their_servers_and_say_so_once(
    pipeline: Distributed, mortal_broker: KafkaBroker, own_redis: RedisServer, cameras: CameraSimulator
) -> None:
    mortal_broker.kill()
    own_redis.kill()
    with pipeline.running(wait=False):
        try:
            for name, service in pipeline.services.items():
                _wait_for_reason(pipeline, name, f"Kafka: no answer from {mortal_broker.bootstrap_servers}")
                _wait_for_metric(service, "agegender_retries_total", 3)
            for service in pipeline.services.values():
                events = [event["event"] for event in service.log_events()]
                assert [one for one in events if one != "nets loaded"] == ["starting", "waiting"]
                assert service.live
            assert pipeline.services["ingest"].metric("agegender_camera_failures_total") == 0
        finally:
            mortal_broker.start()
        _wait_for_reason(pipeline, "sink", "Redis: ")
        for name in ("ingest", "detect", "classify"):
            pipeline.services[name].wait_until_ready()
        own_redis.start()
        pipeline.services["sink"].wait_until_ready()
        _wait_for_results(pipeline, more=4)
        _rest(pipeline, cameras)
        _check_exactly_once(pipeline)


def test_outages_of_kafka_and_redis_lose_and_repeat_nothing(
    pipeline: Distributed, mortal_broker: KafkaBroker, own_redis: RedisServer, cameras: CameraSimulator
) -> None:
    with pipeline.running():
        _wait_for_results(pipeline, more=4)

        own_redis.kill()
        _wait_for_reason(pipeline, "sink", "Redis: ")
        committed = pipeline.committed("sink")
        _wait_for_each_camera(lambda camera: _sent(pipeline, camera), 10, 30, "sent frames")
        assert pipeline.committed("sink") == committed

        mortal_broker.kill()
        try:
            for name in ("ingest", "detect", "classify"):
                _wait_for_reason(pipeline, name, "Kafka: ")
            # About 30 s at 5 frames a second.
            _wait_for_each_camera(
                lambda camera: _dropped(pipeline, camera, reason="full"), 140, 60, "frames dropped as full"
            )
        finally:
            mortal_broker.start()
        gap_ended_s = time.time()
        _wait_for_each_camera(lambda camera: _sent(pipeline, camera), 10, 30, "sent frames")
        assert pipeline.committed("sink") == committed

        own_redis.start()
        for service in pipeline.services.values():
            service.wait_until_ready()
        _wait_for_results(pipeline, more=20)
        _rest(pipeline, cameras)
        _check_exactly_once(pipeline)
        for camera in CAMERAS:
            times = sorted(f.captured_at_s for f in pipeline.frames() if f.camera_id == camera)
            assert max(b - a for a, b in itertools.pairwise(times)) > 20, "Kafka was gone"
            fresh = min(one for one in times if one > gap_ended_s - 5)
            assert fresh < gap_ended_s + 10, "the newest frame, not the oldest, went out first"


def test_killed_processes_lose_and_repeat_nothing(
    pipeline: Distributed, mortal_broker: KafkaBroker, own_redis: RedisServer, cameras: CameraSimulator
) -> None:
    services = [pipeline.services[name] for name in BEHIND_KAFKA]
    with pipeline.running():
        _wait_for_results(pipeline, more=4)
        # What the sink has in hand now will never arrive.
        own_redis.kill()
        _wait_for_reason(pipeline, "sink", "Redis: ")
        for service in services:
            service.kill()
        own_redis.start()
        for service in services:
            service.start()
        for service in services:
            service.wait_until_ready()
            _wait_for_metric(service, "agegender_messages_received_total", 5)

        # What is being written now arrives, but its answer is lost.
        own_redis.freeze()
        _wait_for_reason(pipeline, "sink", "Redis: ")
        mortal_broker.freeze()
        try:
            for name in ("detect", "classify"):
                _wait_for_reason(pipeline, name, "Kafka: ")
            for service in services:
                service.kill()
        finally:
            mortal_broker.thaw()
            own_redis.thaw()
        for service in services:
            service.start()
        for service in services:
            service.wait_until_ready()
        _wait_for_results(pipeline, more=10)
        # This test should make repeats.
        _wait_for_metric(pipeline.services["sink"], "agegender_results_repeated_total", 1)
        _rest(pipeline, cameras)
        _check_exactly_once(pipeline)


def test_a_stopped_service_finishes_its_work(
    pipeline: Distributed, mortal_broker: KafkaBroker, cameras: CameraSimulator
) -> None:
    services = pipeline.services
    with pipeline.running():
        _wait_for_results(pipeline, more=4)
        for name in ("sink", "classify", "detect"):
            started_s = time.monotonic()
            assert services[name].stop() == 0
            assert time.monotonic() - started_s < 15
            services[name].start().wait_until_ready()
        _wait_for_results(pipeline, more=20)
        assert services["sink"].metric("agegender_results_repeated_total") == 0
        _rest(pipeline, cameras)
        _check_exactly_once(pipeline)

        for camera in CAMERAS:
            cameras.start_camera(camera)
        _wait_for_results(pipeline, more=4)
        mortal_broker.kill()
        try:
            for name in ("ingest", "detect", "classify", "sink"):
                _wait_for_reason(pipeline, name, "Kafka: ")
            started_s = time.monotonic()
            for service in services.values():
                service.signal(signal.SIGTERM)
            assert [service.wait(30) for service in services.values()] == [0, 0, 0, 0]
            # 10 s of grace for what is in hand, 3 s at most for each of the four connections of detect, and
            # some for the processes to end: within the 30 s that orchestrators give.
            assert time.monotonic() - started_s < 29
        finally:
            mortal_broker.start()
    for service in services.values():
        assert "Traceback" not in service.log_text()
        assert "Exception ignored" not in service.log_text()
        assert service.log_events()[-1]["event"] == "stopped"
