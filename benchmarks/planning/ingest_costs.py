"""What cameras cost ingest: read over RTSP from simulated ones, each decoded by a process of its own.

The cameras are simulated by this process, and do not count.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from agegender.services.ingest.config import IngestSettings
from agegender.simulator.rtsp.cameras import CameraSimulator
from benchmarks.planning.ingest_worker import Span
from benchmarks.throughput.clip import FPS

_ROOT = Path(__file__).parents[2]
_CAMERAS, _MANY_CAMERAS = 4, 8
_FIFTH = 5  # as the settings come, every fifth frame of a usual camera is picked
_SECONDS, _SPANS = 6.0, 3
_GLANCE_S, _GLANCES = 0.5, 20
_PATIENCE_S = 180.0


def read_cameras(
    clip: Path, cameras: int, fps: float, seconds: float, spans: int, *, encode: bool = False
) -> list[Span]:
    """What a worker of its own takes that reads so many cameras, all of which play the clip.

    Args:
        fps: frames a second to pick of each camera.
        seconds: of each span.
        encode: whether frames are made JPEGs too, as the service does.

    Raises:
        subprocess.SubprocessError: the worker failed, and has said why.
    """
    with CameraSimulator() as simulator:
        urls = [simulator.add(f"cam{number}", clip) for number in range(cameras)]
        options = [f"--fps={fps}", f"--seconds={seconds}", f"--spans={spans}", *["--encode"] * encode]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.planning.ingest_worker", *options, *urls],
            cwd=_ROOT,
            stdout=subprocess.PIPE,
            timeout=_PATIENCE_S,
            check=True,
        )
    return [Span(**json.loads(line)) for line in done.stdout.splitlines()]


def decode_and_pick_ms(clip: Path) -> tuple[float, float]:
    """CPU milliseconds of each frame of a stream, and of each that is picked more."""
    every_ms, fifth_ms = (
        least_ms(read_cameras(clip, _CAMERAS, FPS / each, _SECONDS, _SPANS)) for each in (1, _FIFTH)
    )
    return told_apart(every_ms, fifth_ms, _FIFTH)


def least_ms(read: Sequence[Span]) -> float:
    """CPU milliseconds for each frame that was picked, in the span with the fewest.

    What is picked tells what was decoded, also where a busy machine reads later than the cameras send.
    """
    return min(one.cpu_s * 1000 / one.picked for one in read if one.picked)


def told_apart(every_ms: float, few_ms: float, decoded_for_each: int) -> tuple[float, float]:
    """What decoding a frame takes, and what picking it takes more.

    Args:
        every_ms: for each frame picked, where all frames of the stream are.
        few_ms: the same where so many frames are decoded for each that is picked.
    """
    decode_ms = min(every_ms, max(0.0, (few_ms - every_ms) / (decoded_for_each - 1)))
    return decode_ms, every_ms - decode_ms


def worker_and_camera_mb(clip: Path) -> tuple[float, float]:
    """The most that a worker takes without any camera, and that each camera takes more."""
    fps = IngestSettings().fps
    one_mb, many_mb = (
        max(one.memory_mb for one in read_cameras(clip, cameras, fps, _GLANCE_S, _GLANCES, encode=True))
        for cameras in (1, _MANY_CAMERAS)
    )
    camera_mb = max(0.0, many_mb - one_mb) / (_MANY_CAMERAS - 1)
    return max(0.0, one_mb - camera_mb), camera_mb
