"""`make count-check`: the face tracker against clips with a known number of visits.

The clips are made of stills: one to twelve people come, cross, cover each other, leave and come back, seen
with noise, blur and dropped frames. The detector searches every frame; the tracker then follows its boxes at
5 and at 15 frames a second.

What is counted are visits. For privacy, the product does not recognise faces. So a person out of sight for
more than two seconds begins another visit, and a person back sooner continues the same one.

Fails where a clip is counted wrong by more than 10 % at either rate, which for fewer than ten visits means at
all. Fails if the two rates differ by more than 10 %, or if one of four real videos does not give one person.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from rich import box
from rich.console import Console
from rich.progress import track as progress
from rich.table import Table

from agegender.services.detect.config import DetectSettings
from agegender.services.detect.faces.yunet import YuNet
from agegender.services.detect.tracking.tracker import Tracker
from agegender.shared.images.pictures import Bgr
from agegender.shared.models import weights
from agegender.simulator.content.crowd_clips import crowd_clips
from agegender.simulator.content.crowds import Crowd, count_visits
from agegender.simulator.content.heads import Head, read_heads
from agegender.simulator.content.samples import SamplesUnavailable, fetch_samples
from benchmarks.counting.score import PATIENCE_S, Score, at_rate, evaluate, watch

RATES = (5, 15)
MOST_OFF = 0.1

_ABOUT_S = 0.001

ONE_PERSON_VIDEOS = (
    "face_then_no_face_video",
    "no_face_then_face_video",
    "single_face_video",
    "woman_video",
)


@dataclass(frozen=True)
class Checked:
    """One clip: the truth, and what was counted at each rate."""

    clip: str
    people: int
    visits: int
    scores: dict[int, Score]

    @property
    def is_right(self) -> bool:
        """Whether both counts are within 10 % of the truth, and of each other."""
        counts = [score.counted for score in self.scores.values()]
        return all(is_near(count, self.visits) for count in counts) and is_near(min(counts), max(counts))


def is_near(count: int, truth: int) -> bool:
    """Whether `count` is off by 10 % of `truth` at most."""
    return abs(count - truth) <= MOST_OFF * truth


def detector() -> YuNet:
    """YuNet with the settings that detect has unless told otherwise."""
    settings = DetectSettings()
    cv2.setNumThreads(1)
    return YuNet(weights("yunet"), settings.longer_side_px, settings.min_score)


def check(crowd: Crowd, heads: Sequence[Head], yunet: YuNet) -> Checked:
    """Counts the visits of one clip at all rates.

    `ValueError` if the clip does not show as many visits as it says.
    """
    watched = watch(crowd, heads, yunet)
    shown = count_visits(((frame.time_s, frame.sights) for frame in watched), PATIENCE_S)
    if shown != crowd.visits:
        raise ValueError(f"{crowd.name}: expected the {crowd.visits} visits that it says, it shows {shown}")
    scores = {fps: evaluate(at_rate(watched, fps), Tracker().update) for fps in RATES}
    return Checked(crowd.name, crowd.people, crowd.visits, scores)


def people_in_video(path: Path, yunet: YuNet) -> dict[int, int]:
    """How many people the tracker counts in a video at each rate."""
    searched = [
        ([found.box_xyxy for found in yunet.detect(picture)], time_s) for picture, time_s in _frames(path)
    ]
    counts = {}
    for fps in RATES:
        tracker, people, due_s = Tracker(), 0, 0.0
        for boxes_xyxy, time_s in searched:
            if time_s >= due_s - _ABOUT_S:
                due_s += 1 / fps
                tracks = tracker.update(boxes_xyxy, time_s)
                people = max([people, *(track.number or 0 for track in tracks)])
        counts[fps] = people
    return counts


def check_videos(yunet: YuNet) -> dict[str, dict[int, int]]:
    """People in each of the real videos at each rate. Raises `SamplesUnavailable` offline."""
    samples = fetch_samples()
    paths: list[Path] = [getattr(samples, name) for name in ONE_PERSON_VIDEOS]
    return {path.name: people_in_video(path, yunet) for path in paths}


def _frames(path: Path) -> Iterator[tuple[Bgr, float]]:
    """At the highest of the rates."""
    due_s = 0.0
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time is not None and frame.time >= due_s - _ABOUT_S:
                due_s += 1 / max(RATES)
                yield frame.to_ndarray(format="bgr24").astype(np.uint8, copy=False), frame.time


def table(checked: Iterable[Checked]) -> Table:
    """The clips and their counts, for people to read; `--json` tells more."""
    title = "Visits counted, and what went wrong in their tracks, at 5/15 frames a second"
    shown = Table(title=title, box=box.SIMPLE, padding=0, collapse_padding=True)
    shown.add_column("clip", no_wrap=True)
    for heading in ("visits", "counted", "switches", "split", "shared", "missed"):
        shown.add_column(heading, justify="right", no_wrap=True)
    shown.add_column("", no_wrap=True)
    for one in checked:
        columns = (
            "/".join(str(getattr(score, name)) for score in one.scores.values())
            for name in ("counted", "switches", "fragments", "shared", "missed")
        )
        verdict = " [green]right" if one.is_right else " [red]wrong"
        shown.add_row(one.clip, str(one.visits), *columns, verdict)
    return shown


def _totals(checked: Sequence[Checked]) -> Checked:
    scores = {
        fps: Score(
            **{name: sum(asdict(one.scores[fps])[name] for one in checked) for name in Score.__annotations__}
        )
        for fps in RATES
    }
    return Checked("all", sum(one.people for one in checked), sum(one.visits for one in checked), scores)


def main() -> int:
    """Checks, prints, and says by its exit status whether all is right."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    given = parser.parse_args()
    console, notes = Console(), Console(stderr=True)
    heads, yunet = read_heads(), detector()
    checked = [check(crowd, heads, yunet) for crowd in progress(crowd_clips(), "Counting", console=notes)]
    total = _totals(checked)
    try:
        videos = check_videos(yunet)
    except SamplesUnavailable as error:
        notes.print(f"[yellow]The four real videos were left out: {error}")
        videos = {}
    if given.json:
        rows = [{**asdict(one), "is_right": one.is_right} for one in (*checked, total)]
        sys.stdout.write(json.dumps({"clips": rows, "videos": videos}, indent=2) + "\n")
    else:
        console.print(table([*checked, total]))
        for name, counts in videos.items():
            console.print(f"{name}: one person; counted {' / '.join(map(str, counts.values()))}")
    is_right = all(one.is_right for one in (*checked, total))
    return 0 if is_right and all(set(counts.values()) == {1} for counts in videos.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
