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

from agegender.services.detect.faces.yunet import YuNet
from agegender.shared.images.pictures import Bgr, decode_picture
from agegender.shared.models import weights
from agegender.simulator.content.scenes import demo_scene
from benchmarks.throughput.clip import frames_of
from tests.support.published_yunet import OpenCVYuNet, published_yunet

_MIN_SCORE = 0.5
_SIZES_WH = ((640, 360), (960, 540), (1280, 720))
_SMALLEST_PX = (32, 48, 64, 96)


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
    compared = [*each_size(pictures, given.rounds), *each_smallest_face(pictures, given.rounds)]
    if given.json:
        sys.stdout.writelines(json.dumps(asdict(one)) + "\n" for one in compared)
    else:
        Console().print(table_of(compared))


if __name__ == "__main__":
    main()
