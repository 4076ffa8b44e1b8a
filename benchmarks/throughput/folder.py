"""`python -m benchmarks.throughput.folder`: a folder of pictures through the tool, in a process of its own.

Says how many pictures a second were done, how busy the cores were, and the most memory that was used. With
`--pictures 1000 10000` it shows whether memory stays flat. The pictures are variants of the NASA portrait,
and of the public samples where those can be had.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from agegender.shared.images.pictures import Bgr, encode_jpeg, shrink
from agegender.simulator.content.samples import SamplesUnavailable, fetch_samples

_ROOT = Path(__file__).parents[2]
_PROGRAM = _ROOT / "age_gender_detection.py"


@dataclass(frozen=True)
class Used:
    """What one run took."""

    wall_s: float
    cpu_s: float
    peak_mb: float


def originals() -> list[Bgr]:
    """The pictures that the others are made of."""
    paths = [_ROOT / "simulator" / "astronaut.jpg"]
    try:
        samples = fetch_samples()
        paths += [samples.multi_face, samples.single_face, samples.woman_smiling]
    except SamplesUnavailable:
        pass
    return [np.asarray(cv2.imread(str(path)), np.uint8) for path in paths]


def make_folder(folder: Path, count: int, longer_side_px: int) -> None:
    """`count` pictures, no two alike."""
    stills = originals()
    for index in range(count):
        still = stills[index % len(stills)]
        size = shrink(still, longer_side_px)
        scale = longer_side_px / max(size.shape[:2])
        if scale > 1:
            size = np.asarray(cv2.resize(size, None, fx=scale, fy=scale), np.uint8)
        changed = np.asarray(cv2.convertScaleAbs(size, alpha=0.9 + 0.2 * (index % 97) / 97), np.uint8)
        (folder / f"{index:06}.jpg").write_bytes(encode_jpeg(changed, 88))


def run(folder: Path, output: Path, *arguments: str) -> Used:
    """Analyzes the folder in a process of its own."""
    before, started_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [sys.executable, _PROGRAM, "--json", "--output", output, *arguments, folder], check=True, cwd=_ROOT
    )
    wall_s, after = time.perf_counter() - started_s, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # The peak of all children so far: runs go from the smallest folder to the largest.
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return Used(wall_s, cpu_s, after.ru_maxrss * unit_bytes / 1e6)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, nargs="+", default=[1_000], help="how many, one run each")
    parser.add_argument("--longer-side", type=int, default=1_280, help="of each picture, in pixels")
    parser.add_argument("--workers", type=int, help="pictures at the same time")
    given = parser.parse_args()
    extra = ["--workers", str(given.workers)] if given.workers else []
    for count in sorted(given.pictures):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name, "pictures")
            folder.mkdir()
            make_folder(folder, count, given.longer_side)
            used = run(folder, Path(name, "rows.jsonl"), *extra)
        sys.stdout.write(
            f"{count} pictures of {given.longer_side} px in {used.wall_s:.1f} s: "
            f"{count / used.wall_s:.1f} a second, {used.cpu_s / count * 1000:.1f} CPU ms each, "
            f"{used.cpu_s / used.wall_s:.2f} of {os.cpu_count()} cores busy, {used.peak_mb:.0f} MB at most\n"
        )


if __name__ == "__main__":
    main()
