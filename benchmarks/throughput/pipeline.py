"""`make bench`: what this machine does, stage by stage and as a whole.

Each stage alone gets the same frames of the demo's clip, in one process and one thread. Then the whole
pipeline reads the clip as a file, with four threads on all cores. CPU time is reported beside the wall clock,
because it is steadier on a shared machine.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from agegender.commands.run.pipeline import Pipeline, PipelineSettings
from agegender.services.classify.build import build_classify_stage
from agegender.services.classify.config import ClassifySettings
from agegender.services.detect.build import build_detect_stage
from agegender.services.detect.config import DetectSettings
from agegender.services.detect.stage import DetectOutput
from agegender.services.detect.tracking.best_shot import Selection
from agegender.services.ingest.config import IngestSettings
from agegender.shared.cameras.camera import Camera
from agegender.shared.messages.codec import FACE_CODEC, FRAME_CODEC, RESULT_CODEC
from agegender.shared.messages.pipeline import Face, Frame, Result, Stored
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.stage import Done, Outcome
from agegender.simulator.content.scenes import demo_scene
from benchmarks.planning.constants import write_constants
from benchmarks.throughput.clip import FPS, read_frames


@dataclass(frozen=True)
class Measured:
    """One line of the report."""

    what: str
    unit: str
    count: int
    wall_ms_each: float
    cpu_ms_each: float

    @property
    def a_second(self) -> float:
        """How many a second."""
        return 1000 / self.wall_ms_each


@dataclass(frozen=True)
class Saving:
    """How many faces were found, and how few of them had to be classified."""

    faces_found: int
    faces_classified: int

    def __str__(self) -> str:
        times = self.faces_found / max(self.faces_classified, 1)
        return f"{self.faces_found} faces found, {self.faces_classified} classified: {times:.1f} times fewer"


class _Nowhere:
    """An output that keeps nothing."""

    def open(self) -> None:
        """Nothing to connect to."""

    def write(self, messages: Sequence[Stored]) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to close."""


def measure(what: str, unit: str, count: int, work: Callable[[], object]) -> Measured:
    """Times `work`, which does `count` of something."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Measured(what, unit, count, wall * 1000 / count, cpu * 1000 / count)


def outputs(
    outcomes: Sequence[Outcome[Frame]] | Sequence[Outcome[DetectOutput]],
) -> list[Frame | DetectOutput]:
    """What came of a batch."""
    return [one for outcome in outcomes if isinstance(outcome, Done) for one in outcome.outputs]


def bench_stages(camera: Camera) -> list[Measured]:
    """Each stage alone, in the order of the pipeline."""
    pictures = read_frames(Path(camera.source), FPS)
    ingest = IngestSettings().stage()
    lines = [measure("ingest: shrink, JPEG", "frame", len(pictures), lambda: ingest.process(pictures))]
    frames = [one for one in outputs(ingest.process(pictures)) if isinstance(one, Frame)]
    for side_px in (640, 960, 1280):
        detect = build_detect_stage(DetectSettings(longer_side_px=side_px))
        what = f"detect: faces at {side_px} px, the best chips"
        lines.append(measure(what, "frame", len(frames), lambda stage=detect: stage.process(frames)))  # type: ignore[misc]
    every = build_detect_stage(DetectSettings(selection="all"))
    outcomes: list[Outcome[DetectOutput]] = []
    lines.append(
        measure("detect: all chips", "frame", len(frames), lambda: outcomes.extend(every.process(frames)))
    )
    found = [one for one in outputs(outcomes) if isinstance(one, Face)]
    classify = build_classify_stage(ClassifySettings())
    lines.append(measure("classify: both nets", "face", len(found), lambda: classify.classify(found)))
    results = [r for o in classify.classify(found) if isinstance(o, Done) for r in o.outputs]
    lines += [
        measure("codec: frame there and back", "frame", len(frames), lambda: _there_and_back(frames)),
        measure("codec: face there and back", "face", len(found), lambda: _there_and_back(found)),
        measure("codec: result there and back", "face", len(results), lambda: _there_and_back(results)),
    ]
    return lines


def _there_and_back(messages: Sequence[Frame | Face | Result]) -> None:
    for message in messages:
        if isinstance(message, Frame):
            FRAME_CODEC.decode(FRAME_CODEC.encode(message))
        elif isinstance(message, Face):
            FACE_CODEC.decode(FACE_CODEC.encode(message))
        else:
            RESULT_CODEC.decode(RESULT_CODEC.encode(message))


def bench_whole(camera: Camera, frames: int, selection: Selection) -> tuple[list[Measured], Saving]:
    """The pipeline in one process, without a store."""
    metrics = Metrics(CollectorRegistry())
    settings = PipelineSettings(detect=DetectSettings(selection=selection))
    pipeline = Pipeline([camera], settings, _Nowhere(), metrics)
    what = f"whole pipeline, one process, selection {selection}"
    whole = measure(what, "frame", frames, lambda: pipeline.run(threading.Event()))
    classified = metrics.total("agegender_messages_sent_total", service="classify", kind="result")
    faces = int(classified + metrics.total("agegender_faces_skipped_total"))
    by_face = frames / max(faces, 1)
    in_faces = Measured(what, "face", faces, whole.wall_ms_each * by_face, whole.cpu_ms_each * by_face)
    return [whole, in_faces], Saving(faces, int(classified))


def main() -> None:
    """Measures and prints, as a table or as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--constants", type=Path, help="measure what `agegender plan` reads, into this file")
    arguments = parser.parse_args()
    if arguments.constants is not None:
        write_constants(arguments.constants)
        return
    scene = demo_scene()
    camera = Camera(id="bench", source=str(scene.path), fps=FPS)
    lines, savings = bench_stages(camera), dict[Selection, Saving]()
    for selection in get_args(Selection):
        whole, saving = bench_whole(camera, lines[0].count, selection)
        lines += whole
        savings[selection] = saving
    if arguments.json:
        for line in lines:
            sys.stdout.write(json.dumps(asdict(line)) + "\n")
        sys.stdout.write(json.dumps(asdict(savings["best-shot"])) + "\n")
        return
    title = f"{os.cpu_count()} cores, Python {platform.python_version()}, {scene.face_count} faces a frame"
    table = Table(title=title, title_justify="left")
    for name in ("stage", "of", "wall ms each", "CPU ms each", "a second"):
        is_text = name in ("stage", "of")
        table.add_column(name, justify="left" if is_text else "right", no_wrap=is_text)
    for line in lines:
        table.add_row(
            line.what,
            line.unit,
            f"{line.wall_ms_each:.2f}",
            f"{line.cpu_ms_each:.2f}",
            f"{line.a_second:,.0f}",
        )
    console = Console()
    console.print(table)
    usual = Camera(id="usual", source=str(scene.path))
    for fps, saving in (
        (FPS, savings["best-shot"]),
        (IngestSettings().fps, bench_whole(usual, 1, "best-shot")[1]),
    ):
        console.print(f"At {fps:g} frames a second: {saving}", highlight=False)


if __name__ == "__main__":
    main()
