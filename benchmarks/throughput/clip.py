"""The frames of a clip as ingest reads them from the file, and the faces in them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry

from agegender.services.detect.build import build_detect_stage
from agegender.services.detect.config import DetectSettings
from agegender.services.ingest.camera_source import CameraSource
from agegender.services.ingest.config import IngestSettings
from agegender.services.ingest.sources.stream import CapturedFrame
from agegender.shared.cameras.camera import Camera
from agegender.shared.messages.pipeline import Face, Frame
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.stage import Done

FPS = 25.0
"""Of the clips: all of their frames."""


def read_frames(path: Path, fps: float) -> list[CapturedFrame]:
    """The frames of a file as ingest picks them."""
    source = CameraSource(
        [Camera(id="bench", source=str(path), fps=fps)], IngestSettings(), Metrics(CollectorRegistry())
    )
    source.open()
    found: list[CapturedFrame] = []
    while not source.exhausted:
        found += [d.message for d in source.poll(8, 0.5) if isinstance(d.message, CapturedFrame)]
    source.close()
    return found


def frames_of(path: Path, fps: float = FPS) -> list[Frame]:
    """The same as ingest sends them."""
    outcomes = IngestSettings().stage().process(read_frames(path, fps))
    return [one for outcome in outcomes if isinstance(outcome, Done) for one in outcome.outputs]


def faces_of(frames: Sequence[Frame]) -> list[Face]:
    """All faces in them."""
    outcomes = build_detect_stage(DetectSettings(selection="all")).process(frames)
    sent = [one for outcome in outcomes if isinstance(outcome, Done) for one in outcome.outputs]
    return [one for one in sent if isinstance(one, Face)]
