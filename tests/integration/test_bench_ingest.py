"""What a plan takes ingest to cost is that of RTSP cameras, each decoded by a process of its own."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.commands.plan.constants import Constants
from agegender.simulator.content.clips import make_clip
from agegender.simulator.rtsp.media import ClipRefused
from benchmarks.planning.constants import ingest_costs
from benchmarks.planning.ingest_costs import least_ms, read_cameras, told_apart
from benchmarks.planning.ingest_worker import Span
from benchmarks.planning.store_costs import memory_costs
from benchmarks.throughput.clip import read_frames
from tests.support.process_family import can_be_told

WORKER_AND_HOST = 2
CAMERA_AT_LEAST_MB = 2.0

needs_linux = pytest.mark.skipif(not can_be_told(), reason="this system does not tell what processes take")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    make_clip(path, (), size_wh=(320, 180), seconds=1)
    return path


@needs_linux
def test_the_process_that_decodes_each_camera_is_measured_too(clip: Path) -> None:
    (one,), (three,) = (read_cameras(clip, cameras, 25.0, 1.0, 1, encode=True) for cameras in (1, 3))
    assert (one.processes, three.processes) == (WORKER_AND_HOST + 1, WORKER_AND_HOST + 3)
    assert three.memory_mb > one.memory_mb + 2 * CAMERA_AT_LEAST_MB
    assert three.picked > 0
    assert three.cpu_s > 0


@needs_linux
def test_plan_constants_come_from_cameras_and_not_from_a_file(tmp_path: Path) -> None:
    video = tmp_path / "no_camera_sends_this.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 25, (320, 180))
    for _ in range(3):
        writer.write(np.full((180, 320, 3), 128, np.uint8))
    writer.release()
    pictures, shipped = read_frames(video, 25.0), Constants.load()
    with pytest.raises(ClipRefused):
        ingest_costs(video, pictures, shipped.ingest)
    with pytest.raises(ClipRefused):
        memory_costs(video, shipped.memory)


def test_decoding_costs_are_separated_from_picking_costs() -> None:
    decode_ms, pick_ms = told_apart(every_ms=2.0 + 1.5, few_ms=5 * 2.0 + 1.5, decoded_for_each=5)
    assert (decode_ms, pick_ms) == pytest.approx((2.0, 1.5))


@pytest.mark.parametrize(("every_ms", "few_ms"), [(3.0, 2.9), (3.0, 40.0)])
def test_an_impossible_measurement_gives_no_negative_costs(every_ms: float, few_ms: float) -> None:
    decode_ms, pick_ms = told_apart(every_ms, few_ms, 5)
    assert decode_ms >= 0
    assert pick_ms >= 0
    assert decode_ms + pick_ms == pytest.approx(every_ms)


def test_the_quietest_span_with_frames_counts() -> None:
    read = [Span(cpu_s, picked, 0.0, 3) for cpu_s, picked in ((0.3, 100), (0.1, 10), (0.2, 100), (0.01, 0))]
    assert least_ms(read) == pytest.approx(2.0)
