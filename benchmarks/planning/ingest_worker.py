"""`python -m benchmarks.planning.ingest_worker`: an ingest worker on RTSP cameras, measured.

It is a process of its own, with the imports of the service and few others, so that no cost of the measuring
program counts for the service. All processes that decode for it count.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median

from prometheus_client import CollectorRegistry

from agegender.services.ingest.camera_source import CameraSource
from agegender.services.ingest.config import IngestSettings
from agegender.services.ingest.sources.stream import CapturedFrame
from agegender.services.ingest.stage import IngestStage
from agegender.shared.cameras.camera import Camera
from agegender.shared.process.metrics import Metrics
from tests.support.process_family import family_of, memory_bytes, used_cpu_s

_POLL_S = 0.05
_MOST_START_S = 60.0
_MOST_SETTLE_S, _SETTLED_AGE_S = 10.0, 0.15


@dataclass(frozen=True)
class Span:
    """What the worker and all processes below it did and took in one span of time."""

    cpu_s: float
    picked: int
    """Frames of all cameras together."""
    memory_mb: float
    """At the end of it."""
    processes: int


def spans(
    urls: Sequence[str], fps: float, seconds: float, number: int, stage: IngestStage | None
) -> Iterator[Span]:
    """One span after the other, from when all cameras give frames in time.

    Args:
        fps: frames a second to pick of each camera.
        seconds: of each span.
        stage: works on the frames; None: they are only taken.

    Raises:
        TimeoutError: a camera gives no frames.
        RuntimeError: a process came or went, so that the figures would not be those of the others alone.
    """
    metrics = Metrics(CollectorRegistry())
    cameras = [Camera(id=f"cam{place}", source=url, fps=fps) for place, url in enumerate(urls)]
    source = CameraSource(cameras, IngestSettings(), metrics)
    source.open()
    try:
        _wait_until_up(source, len(cameras))
        settled_s = time.monotonic() + _MOST_SETTLE_S
        # What piled up while all started is read faster than it comes, at first.
        while time.monotonic() < settled_s and _take_for(1.0, source, stage) > _SETTLED_AGE_S:
            pass
        for _ in range(number):
            yield _span(seconds, source, stage, metrics)
    finally:
        source.close()


def _span(seconds: float, source: CameraSource, stage: IngestStage | None, metrics: Metrics) -> Span:
    members = list(family_of(os.getpid()))
    began_cpu_s, picked = used_cpu_s(members), _picked(metrics)
    _take_for(seconds, source, stage)
    cpu_s = used_cpu_s(members) - began_cpu_s
    if list(family_of(os.getpid())) != members:
        raise RuntimeError(f"a decoder came or went while it was measured: {dict(source.failures)}")
    return Span(
        cpu_s=cpu_s,
        picked=round(_picked(metrics) - picked),
        memory_mb=memory_bytes(members) / 1e6,
        processes=len(members),
    )


def _picked(metrics: Metrics) -> float:
    return metrics.total("agegender_frames_captured_total")


def _wait_until_up(source: CameraSource, cameras: int) -> None:
    up: set[str] = set()
    until_s = time.monotonic() + _MOST_START_S
    while len(up) < cameras:
        if time.monotonic() > until_s:
            raise TimeoutError(
                f"expected frames of {cameras} cameras within {_MOST_START_S:g} s, got those of {len(up)}: "
                f"{dict(source.failures)}"
            )
        up |= {one.camera_id for one in _take(source)}


def _take_for(seconds: float, source: CameraSource, stage: IngestStage | None) -> float:
    """The median of the seconds from the capture of a frame until it was taken; 0 where none was."""
    until_s = time.monotonic() + seconds
    ages_s: list[float] = []
    while time.monotonic() < until_s:
        taken = _take(source)
        ages_s += [time.time() - one.captured_at_s for one in taken]
        if stage is not None:
            stage.process(taken)
    return median(ages_s) if ages_s else 0.0


def _take(source: CameraSource) -> list[CapturedFrame]:
    taken = [one.message for one in source.poll(64, _POLL_S) if isinstance(one.message, CapturedFrame)]
    source.commit()
    return taken


def main() -> None:
    """Prints each span as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fps", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--spans", type=int, required=True)
    parser.add_argument("--encode", action="store_true", help="make JPEGs of the frames as the service does")
    parser.add_argument("urls", nargs="+")
    given = parser.parse_args()
    importlib.import_module("agegender.services.ingest.__main__")
    stage = IngestSettings().stage() if given.encode else None
    for span in spans(given.urls, given.fps, given.seconds, given.spans, stage):
        sys.stdout.write(json.dumps(asdict(span)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
