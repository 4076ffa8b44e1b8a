"""Holds a tracker to clips of known truth: what the detector finds, and what the tracker makes of it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from agegender.services.detect.faces.yunet import YuNet
from agegender.services.detect.tracking.tracker import Track
from agegender.shared.messages.pipeline import BoxXyxy
from agegender.simulator.content.crowds import FPS, Crowd, Sight, crowd_frames
from agegender.simulator.content.heads import Head

PATIENCE_S = 2.0
"""A person out of sight for longer begins another visit: for privacy, faces are never recognised."""

_SAME_FACE_OVERLAP = 0.3

ActorVisit = tuple[int, int]
"""The actor and the number of the visit, counted from 1."""

Follow = Callable[[Sequence[BoxXyxy], float], Sequence[Track]]
"""`Tracker.update`, or anything that keeps its promise."""


@dataclass(frozen=True)
class Watched:
    """One frame: what the detector found, and the truth."""

    index: int
    time_s: float
    boxes_xyxy: tuple[BoxXyxy, ...]
    sights: tuple[Sight, ...]


@dataclass(frozen=True)
class Score:
    """How a tracker did on one clip at one rate."""

    counted: int
    """Confirmed tracks."""
    switches: int
    """How often, within one visit, a face went on in another of these tracks than before."""
    fragments: int
    """Confirmed tracks beyond the first one of each visit."""
    shared: int
    """Confirmed tracks that held the faces of more than one person, or of more than one visit."""
    missed: int
    """Visits without any confirmed track."""
    imagined: int
    """Confirmed tracks without a face of any person."""


def watch(crowd: Crowd, heads: Sequence[Head], detector: YuNet) -> list[Watched]:
    """Searches every frame of the clip: the slow part, to be done once for all rates."""
    return [
        Watched(
            frame.index,
            frame.time_s,
            tuple(found.box_xyxy for found in detector.detect(frame.picture)),
            frame.sights,
        )
        for frame in crowd_frames(crowd, heads)
    ]


def at_rate(frames: Iterable[Watched], fps: int) -> list[Watched]:
    """The frames that a camera of `fps` frames a second had taken. `ValueError` if it is no part of 15."""
    if FPS % fps:
        raise ValueError(f"expected a rate that divides {FPS}, got {fps}")
    return [frame for frame in frames if frame.index % (FPS // fps) == 0]


def evaluate(frames: Iterable[Watched], follow: Follow) -> Score:
    """Feeds the detector's boxes to the tracker and compares its tracks with the truth."""
    visits = _Visits()
    tracks: dict[int, Track] = {}
    seen_in: defaultdict[ActorVisit, list[int]] = defaultdict(list)
    for frame in frames:
        visits.note(frame)
        followed = follow(frame.boxes_xyxy, frame.time_s)
        tracks.update((id(track), track) for track in followed)
        for sight, b in _matched(frame):
            seen_in[visits.of(sight.actor)].append(id(followed[b]))
    confirmed = {key for key, track in tracks.items() if track.number is not None}
    guests: defaultdict[int, set[ActorVisit]] = defaultdict(set)
    switches = 0
    for visit, keys in seen_in.items():
        kept = [key for key in keys if key in confirmed]
        switches += sum(one != other for one, other in pairwise(kept))
        for key in kept:
            guests[key].add(visit)
    held = [visit for those in guests.values() for visit in those]
    return Score(
        counted=len(confirmed),
        switches=switches,
        fragments=len(held) - len(set(held)),
        shared=sum(len(those) > 1 for those in guests.values()),
        missed=len(visits.all - set(held)),
        imagined=len(confirmed - guests.keys()),
    )


class _Visits:
    """Numbers the visits of each person as `agegender.simulator.content.crowds.count_visits` counts them."""

    def __init__(self) -> None:
        self.all: set[ActorVisit] = set()
        self._number: dict[int, int] = {}
        self._last_s: dict[int, float] = {}

    def note(self, frame: Watched) -> None:
        """To be called with each frame in turn."""
        for sight in frame.sights:
            if sight.is_visible:
                is_new = frame.time_s - self._last_s.get(sight.actor, -math.inf) > PATIENCE_S
                self._number[sight.actor] = self._number.get(sight.actor, 0) + is_new
                self._last_s[sight.actor] = frame.time_s
                self.all.add(self.of(sight.actor))

    def of(self, actor: int) -> ActorVisit:
        """The visit of a person at this time; the first one before it begins."""
        return actor, max(1, self._number.get(actor, 0))


def _matched(frame: Watched) -> list[tuple[Sight, int]]:
    """The known face of each box, the best pair first; boxes without a face are left out."""
    pairs = sorted(
        (
            (_overlap(sight.face_xyxy, box), s, b)
            for s, sight in enumerate(frame.sights)
            if sight.visible_share > 0
            for b, box in enumerate(frame.boxes_xyxy)
        ),
        reverse=True,
    )
    found: dict[int, int] = {}
    for overlap, s, b in pairs:
        if overlap >= _SAME_FACE_OVERLAP and s not in found and b not in found.values():
            found[s] = b
    return [(frame.sights[s], b) for s, b in found.items()]


def _overlap(one: BoxXyxy, other: BoxXyxy) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)
