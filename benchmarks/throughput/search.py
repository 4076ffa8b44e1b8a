"""`python -m benchmarks.throughput.search`: what a search for faces costs, as ratios of CPU time.

Each pair of ways reads the same pictures in turns, round by round, in one process and one thread. A ratio is
the CPU time of the first way divided by that of the second one: the median of all rounds, with the least and
the largest. So a busy machine changes both alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from agegender.services.detect.build import build_detect_stage
from agegender.services.detect.config import DetectSettings
from agegender.services.detect.faces.yunet import YuNet
from agegender.shared.images.pictures import Bgr, decode_picture, encode_jpeg
from agegender.shared.messages.pipeline import Frame, FrameInfo
from agegender.shared.models import weights
from agegender.shared.runtime.stage import Done
from agegender.simulator.content.scenes import demo_scene
from benchmarks.throughput.clip import frames_of
from tests.support.published_yunet import OpenCVYuNet, published_yunet

_MIN_SCORE = 0.5
_SIZES_WH = ((640, 360), (960, 540), (1280, 720))
_SMALLEST_PX = (32, 48, 64, 96)
_STILL_S, _FPS = 3.0, 5
_NOISE_LEVELS = 3.0
_LONG_AGO_S = 86_400.0


@dataclass(frozen=True)
class Compared:
    """Two ways to do the same: the CPU time of the first, as a share of that of the second."""

    way: str
    other: str
    ratio: float
    least: float
    largest: float


def compare(
    way: str, other: str, work: Callable[[], object], other_work: Callable[[], object], rounds: int
) -> Compared:
    """Runs both in turns. The first round of each is not counted."""
    work(), other_work()
    ratios = [_cpu_s(work) / _cpu_s(other_work) for _ in range(rounds)]
    return Compared(way, other, statistics.median(ratios), min(ratios), max(ratios))


def _cpu_s(work: Callable[[], object]) -> float:
    started_s = time.process_time()
    work()
    return time.process_time() - started_s


def each_size(pictures: Sequence[Bgr], rounds: int) -> Iterator[Compared]:
    """Our own search against OpenCV's, on pictures that need no shrinking."""
    onnx = published_yunet()
    for size_wh in _SIZES_WH:
        resized = [np.asarray(cv2.resize(one, size_wh), np.uint8) for one in pictures]
        own, opencv = (
            YuNet(weights("yunet"), max(size_wh), _MIN_SCORE),
            OpenCVYuNet(onnx, max(size_wh), _MIN_SCORE),
        )
        size = f"{size_wh[0]} x {size_wh[1]} px"
        yield compare(
            f"LiteRT, {size}",
            "OpenCV",
            lambda own=own, resized=resized: [own.detect(one) for one in resized],  # type: ignore[misc]
            lambda opencv=opencv, resized=resized: [opencv.detect(one) for one in resized],  # type: ignore[misc]
            rounds,
        )


def each_smallest_face(pictures: Sequence[Bgr], rounds: int) -> Iterator[Compared]:
    """The search for a camera whose settings ask for larger faces only, against the usual one."""
    usual = YuNet(weights("yunet"), min_score=_MIN_SCORE)
    for smallest_px in _SMALLEST_PX:
        quick = YuNet(weights("yunet"), min_score=_MIN_SCORE)
        yield compare(
            f"faces from {smallest_px} px",
            "at 960 px",
            lambda quick=quick, px=smallest_px: [quick.detect(one, px) for one in pictures],  # type: ignore[misc]
            lambda: [usual.detect(one) for one in pictures],
            rounds,
        )


def still_scenes(pictures: Sequence[Bgr], rounds: int) -> Iterator[Compared]:
    """All of detect on live frames, with `DETECT_STILL_S` against a search of each frame."""
    grey = np.full_like(pictures[0], 110)
    for what, shown in (("an empty, still scene", [grey]), ("a scene in motion", pictures)):
        jpegs = _noisy_jpegs(shown)
        gated, searching = (_Watched(jpegs, still_s) for still_s in (_STILL_S, 0.0))
        yield compare(
            f"detect before {what}, DETECT_STILL_S={_STILL_S:g}", "DETECT_STILL_S=0", gated, searching, rounds
        )


def _noisy_jpegs(pictures: Sequence[Bgr]) -> list[bytes]:
    """The frames of `_STILL_S` seconds, each with noise of its own, as a camera makes it."""
    random = np.random.default_rng(1)
    found = []
    for number in range(round(_STILL_S * _FPS)):
        picture = pictures[number % len(pictures)]
        noisy = np.clip(picture + random.normal(0, _NOISE_LEVELS, picture.shape), 0, 255)
        found.append(encode_jpeg(noisy.astype(np.uint8), 85))
    return found


class _Watched:
    """A live camera before a worker of detect: each call processes the next frames."""

    def __init__(self, jpegs: Sequence[bytes], still_s: float) -> None:
        self._jpegs = jpegs
        # The frames come faster than in life. None is of the future, and none is too old.
        self._stage = build_detect_stage(DetectSettings(still_s=still_s, stale_s=2 * _LONG_AGO_S))
        self._began_s = time.time() - _LONG_AGO_S
        self._sequence = 0

    def __call__(self) -> None:
        for jpeg in self._jpegs:
            captured_at_s = self._began_s + self._sequence / _FPS
            info = FrameInfo(
                camera_id="bench",
                stream_id="s1",
                sequence=self._sequence,
                captured_at_s=captured_at_s,
                clock="arrival",
                published_at_s=captured_at_s,
                width_px=1280,
                height_px=720,
            )
            (outcome,) = self._stage.process([Frame(info=info, jpeg=jpeg)])
            if not isinstance(outcome, Done):
                raise RuntimeError(f"expected that each frame is processed, got {outcome}")
            self._sequence += 1


def demo_pictures(count: int) -> list[Bgr]:
    """Frames of the demo's clip, with six faces each."""
    frames = frames_of(demo_scene().path)
    return [decode_picture(one.jpeg) for one in frames[:: max(1, len(frames) // count)][:count]]


def table_of(compared: Sequence[Compared]) -> Table:
    """For people."""
    table = Table(title="CPU time, as a ratio", title_justify="left")
    for name in ("", "against", "ratio", "least", "largest"):
        table.add_column(name, justify="left" if name in ("", "against") else "right")
    for one in compared:
        table.add_row(one.way, one.other, *(f"{value:.2f}" for value in (one.ratio, one.least, one.largest)))
    return table


def main() -> None:
    """Measures and prints, as a table or as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--pictures", type=int, default=8)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    pictures = demo_pictures(given.pictures)
    kinds = (each_size, each_smallest_face, still_scenes)
    compared = [one for kind in kinds for one in kind(pictures, given.rounds)]
    if given.json:
        sys.stdout.writelines(json.dumps(asdict(one)) + "\n" for one in compared)
    else:
        Console().print(table_of(compared))


if __name__ == "__main__":
    main()
