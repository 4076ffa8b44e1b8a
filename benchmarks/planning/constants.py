"""Measures what `agegender plan` wants to know of a machine: `make bench CONSTANTS=FILE`.

CPU times are the least of several rounds, because other work of the machine only adds to them. What a machine
cannot measure, because there is no broker or no GPU, or because it does not tell what processes take, is
taken from the constants that come with the project, and said.
"""

from __future__ import annotations

import datetime
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from agegender.commands.plan.constants import (
    SHIPPED,
    ClassifyCosts,
    Constants,
    DetectCosts,
    GpuCosts,
    IngestCosts,
    Machine,
)
from agegender.services.classify.build import build_classify_stage
from agegender.services.classify.config import ClassifySettings
from agegender.services.classify.nets import inputs, views
from agegender.services.classify.stage import ClassifyStage
from agegender.services.classify.tensorflow_nets import tensorflow_nets
from agegender.services.detect.build import build_detect_stage
from agegender.services.detect.config import DetectSettings
from agegender.services.ingest.config import IngestSettings
from agegender.services.ingest.sources.stream import CapturedFrame
from agegender.shared.errors import AgeGenderError
from agegender.shared.images.faces import CHIP_SIDE_PX
from agegender.shared.images.pictures import decode_picture, encode_jpeg
from agegender.shared.messages.pipeline import Face, Frame
from agegender.shared.models import load_manifest
from agegender.simulator.content.scenes import demo_scene
from benchmarks.planning.ingest_costs import decode_and_pick_ms
from benchmarks.planning.kafka_costs import kafka_costs
from benchmarks.planning.store_costs import memory_costs, store_costs
from benchmarks.throughput.clip import FPS, faces_of, frames_of, read_frames
from tests.support.process_family import can_be_told

COMMAND = "make bench CONSTANTS=constants.json"
_ROUNDS = 5
_GPU_BATCH = 128
_FRAMES_WITH_FACES = 40


def cpu_ms(count: int, work: Callable[[], object], rounds: int = _ROUNDS) -> float:
    """CPU milliseconds for each of `count` things that `work` does, in its quickest round."""
    least_s = float("inf")
    for _ in range(rounds):
        started_s = time.process_time()
        work()
        least_s = min(least_s, time.process_time() - started_s)
    return least_s * 1000 / count


def ingest_costs(path: Path, pictures: Sequence[CapturedFrame], shipped: IngestCosts) -> IngestCosts:
    """Streams of cameras that play the clip, and the frames of it made JPEGs."""
    stage = IngestSettings().stage()
    encode_ms = cpu_ms(len(pictures), lambda: stage.process(pictures), 3)
    if not can_be_told():
        say("what cameras cost was not measured: only Linux tells what all processes of a worker take")
        return shipped.model_copy(update={"encode_ms": encode_ms})
    decode_ms, pick_ms = decode_and_pick_ms(path)
    return IngestCosts(decode_ms=decode_ms, pick_ms=pick_ms, encode_ms=encode_ms)


def detect_costs(frames: Sequence[Frame], face_count: int) -> DetectCosts:
    """Frames with faces, and the same size of frames without."""
    picture_bgr = decode_picture(frames[0].jpeg)
    # Coarse noise: it takes as long to decode as a scene and shows no person.
    grain = np.random.default_rng(1).integers(60, 200, (45, 80, 3), dtype=np.uint8)
    nobody_bgr = cv2.resize(grain, (picture_bgr.shape[1], picture_bgr.shape[0]))
    jpeg = encode_jpeg(np.asarray(nobody_bgr, np.uint8), 85)
    empty = [one.model_copy(update={"jpeg": jpeg}) for one in frames]
    frame_ms = cpu_ms(len(empty), lambda: build_detect_stage(DetectSettings()).process(empty), 3)
    with_ms = cpu_ms(len(frames), lambda: build_detect_stage(DetectSettings()).process(frames), 3)
    return DetectCosts(frame_ms=frame_ms, face_ms=max(0.0, with_ms - frame_ms) / face_count)


def classify_costs(faces: Sequence[Face], stage: ClassifyStage) -> ClassifyCosts:
    """All of a face, and what of it is not the nets."""
    manifest = load_manifest()
    run = views(manifest.packs[ClassifySettings().nets])

    def host() -> None:
        chips_bgr = np.stack([decode_picture(face.chip_jpeg, CHIP_SIDE_PX**2) for face in faces])
        for net, mirrored in run:
            inputs(chips_bgr, manifest.nets[net].input, mirrored=mirrored)

    return ClassifyCosts(
        face_ms=cpu_ms(len(faces), lambda: stage.classify(faces)), host_ms=cpu_ms(len(faces), host)
    )


def gpu_costs(shipped: GpuCosts) -> GpuCosts:
    """Of the GPU that TensorFlow sees; where there is none, what came with the project."""
    chips_bgr = np.zeros((_GPU_BATCH, CHIP_SIDE_PX, CHIP_SIDE_PX, 3), np.uint8)
    try:
        nets = tensorflow_nets(ClassifySettings().nets)
        nets.open()
    except AgeGenderError as error:
        say(f"the GPU was not measured: {error}")
        return shipped
    least_s = float("inf")
    for _ in range(_ROUNDS):
        started_s, started_cpu_s = time.perf_counter(), time.process_time()
        nets.predict(chips_bgr)
        cutting_s = time.process_time() - started_cpu_s
        least_s = min(least_s, max(time.perf_counter() - started_s - cutting_s, 0.001))
    return GpuCosts(is_measured=True, batch_faces=_GPU_BATCH, batch_ms=least_s * 1000)


def measure() -> Constants:
    """Everything, in some five minutes."""
    shipped = Constants.load()
    scene = demo_scene()
    pictures, frames = read_frames(scene.path, FPS), frames_of(scene.path)
    say("ingest …")
    ingest = ingest_costs(scene.path, pictures, shipped.ingest)
    say("detect …")
    detect = detect_costs(frames, scene.face_count)
    faces = faces_of(frames[:_FRAMES_WITH_FACES])
    say("classify …")
    classify = classify_costs(faces, build_classify_stage(ClassifySettings()))
    gpu = gpu_costs(shipped.gpu)
    say("Kafka …")
    kafka = kafka_costs(frames, faces, shipped.kafka)
    say("the store …")
    store = store_costs()
    say("memory …")
    memory = memory_costs(scene.path, shipped.memory)
    return Constants(
        machine=machine(),
        frame_wh=(frames[0].info.width_px, frames[0].info.height_px),
        ingest=ingest,
        detect=detect,
        classify=classify,
        gpu=gpu,
        kafka=kafka,
        store=store,
        memory=memory,
    )


def machine() -> Machine:
    """This one."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        processor = names[0] if names else processor
    return Machine(
        cores=os.cpu_count() or 1,
        processor=processor,
        python=platform.python_version(),
        measured_on=datetime.datetime.now(datetime.UTC).date().isoformat(),
        command=COMMAND,
    )


def say(text: str) -> None:
    """Writes a line of progress to standard error."""
    sys.stderr.write(text + "\n")


def write_constants(path: Path) -> None:
    """Measures, and writes the file."""
    path.write_text(rounded(measure()).model_dump_json(indent=2) + "\n")
    say(f"The constants are in {path}" + (" (those that come with the project)" if path == SHIPPED else ""))


def rounded(constants: Constants) -> Constants:
    """Three digits: more would be noise."""

    def round_all(value: object) -> object:
        if isinstance(value, dict):
            return {name: round_all(one) for name, one in value.items()}
        return float(f"{value:.3g}") if isinstance(value, float) else value

    return Constants.model_validate(round_all(constants.model_dump()))
