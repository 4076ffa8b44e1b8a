"""Two cameras, four processes, real servers: the numbers add up, and forged or missing data is named."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import redis
import yaml
from typer.testing import CliRunner

from agegender.cli import app
from agegender.shared.kafka.output import KafkaRawOutput
from agegender.shared.kafka.topics import FRAMES
from agegender.shared.messages.codec import FRAME_CODEC
from agegender.shared.messages.pipeline import Frame
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.store import CameraKeys
from agegender.simulator.content.scenes import pair_scene
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.made_messages import JPEG, frame_info
from tests.support.pipeline import SERVICES, Distributed
from tests.support.waiting import wait_until

CAMERAS = ("door", "hall")


@pytest.fixture
def pipeline(kafka: str, redis_database: str, random_suffix: str, tmp_path: Path) -> Iterator[Distributed]:
    with CameraSimulator() as simulator:
        cameras = [
            {"id": camera, "source": simulator.add(camera, pair_scene(swapped=camera == "hall").path)}
            for camera in CAMERAS
        ]
        cameras_file = tmp_path / "cameras.yaml"
        cameras_file.write_text(yaml.safe_dump({"cameras": cameras}))
        services = Distributed(
            kafka,
            redis_database,
            f"{random_suffix}-",
            cameras_file,
            tmp_path,
            INGEST_FPS="2",
            DETECT_SELECTION="all",
        )
        with services.running():
            yield services


def audit(pipeline: Distributed) -> tuple[int, dict[str, Any]]:
    """The exit status and the report of `agegender audit --json`."""
    addresses = [f"127.0.0.1:{pipeline.services[name].port}" for name in SERVICES]
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": pipeline.kafka,
        "KAFKA_TOPIC_PREFIX": pipeline.prefix,
        "REDIS_URL": pipeline.redis_url,
    }
    options = [part for address in addresses for part in ("--metrics", address)]
    done = CliRunner().invoke(app, ["audit", *options, "--json"], env=environment)
    assert done.stdout, done.exception
    return done.exit_code, json.loads(done.stdout)


def wait_for_results(pipeline: Distributed) -> None:
    ingest = pipeline.services["ingest"]
    wait_until(
        lambda: (
            all(pipeline.results_written(camera) >= 2 for camera in CAMERAS)
            and all(ingest.metric("agegender_messages_sent_total", camera=camera) >= 10 for camera in CAMERAS)
        ),
        60,
        "ten frames of each camera are published and some results written",
    )


def kill_classify(pipeline: Distributed) -> None:
    """Ends classify as a crash does; returns when its successor works."""
    classify = pipeline.services["classify"]
    classify.kill()
    before = pipeline.committed("classify")
    classify.start()
    wait_until(lambda: pipeline.committed("classify") >= before + 2, 60, "classify goes on")


def counts(report: dict[str, Any], camera: str) -> dict[str, int]:
    """Every number of a camera by its name."""
    amounts = [amount for one in report["cameras"][camera] for amount in (one["whole"], *one["parts"])]
    return {amount["name"]: amount["count"] for amount in amounts}


def forge_frame(pipeline: Distributed, camera: str) -> None:
    kafka = KafkaSettings(bootstrap_servers=pipeline.kafka, topic_prefix=pipeline.prefix)
    output = KafkaRawOutput(FRAMES.name, FRAMES.retention_s, kafka)
    info = frame_info(camera, stream_id="forged", captured_at_s=time.time())
    output.write([FRAME_CODEC.encode(Frame(info=info, jpeg=JPEG))])
    output.close()


def take_a_result_away(pipeline: Distributed, camera: str) -> None:
    with redis.Redis.from_url(pipeline.redis_url) as client:
        key = CameraKeys.of(camera).results
        entries = cast("list[tuple[bytes, object]]", client.xrange(key))
        client.xdel(key, entries[len(entries) // 2][0])


def test_the_audit_adds_up_after_a_crash_and_names_forgeries(
    pipeline: Distributed,
) -> None:
    wait_for_results(pipeline)
    status, report = audit(pipeline)
    assert (status, report["differences"]) == (0, [])
    for camera in CAMERAS:
        found = counts(report, camera)
        assert found["frames captured"] >= found["published"] > 0
        assert found["processed"] > 0
        assert found["classified"] > 0
        assert found["written"] > 0
        assert found["dead-lettered"] == 0

    kill_classify(pipeline)
    status, report = audit(pipeline)
    assert (status, report["differences"]) == (0, [])

    forge_frame(pipeline, "door")
    wait_until(lambda: pipeline.records("dead-letters"), 60, "detect has given up the forged frame")
    take_a_result_away(pipeline, "hall")
    status, report = audit(pipeline)
    assert status == 1
    assert report["differences"] == [
        "1 frame of camera door was found in the topic and counted by no worker that was asked",
        "1 result of camera hall was written and taken out of the store since",
    ]
    assert counts(report, "door")["dead-lettered"] == 0, "no face and no result is a dead letter"
    (frames,) = [one for one in report["cameras"]["door"] if one["whole"]["name"] == "frames in the topic"]
    assert {part["name"]: part["count"] for part in frames["parts"]}["dead-lettered"] == 1
