"""Clips of people that walk through the frame, with the known position of each at every moment.

Heads cut from stills move on straight ways before a soft background. The nearer cover those behind. Sensor
noise, motion blur and dropped frames make it as hard as a real camera does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from agegender.simulator.content.clips import Picture, soft_background, write_video
from agegender.simulator.content.heads import Head

FPS = 15
"""Frames a second before any is dropped."""

VISIBLE_SHARE = 0.5
"""A face is in sight while at least this share of its box is inside the frame and uncovered."""

_BOB_SHARE, _STEPS_HZ = 0.03, 1.8
_NOISE_SHIFTS_PX = 64
_STRIDE_PX_S = 20.0


@dataclass(frozen=True)
class Walk:
    """One straight way at an even pace; where it begins and ends in one place, the person stands."""

    start_s: float
    end_s: float
    start_xy: tuple[float, float]
    """Centre of the face in pixels of the frame; may lie outside."""
    end_xy: tuple[float, float]
    start_px: float
    """Height of the face: nearer faces are larger."""
    end_px: float
    faces_camera: bool = True


@dataclass(frozen=True)
class Actor:
    """One person of the crowd, out of the frame outside the times of the walks."""

    head: int
    """Which of the heads, counted from 0."""
    walks: tuple[Walk, ...]


@dataclass(frozen=True)
class Crowd:
    """What happens in a clip, and how well the camera sees it. Equal crowds give equal clips."""

    name: str
    actors: tuple[Actor, ...]
    visits: int
    """Counted by hand: after more than two seconds out of sight, a person begins another visit."""
    seconds: float
    noise_sigma: float = 3.0
    """Of each pixel, of 255."""
    exposure_s: float = 0.01
    """A moving face is blurred along the way it moves in this time."""
    dropped_share: float = 0.0
    """Of the frames, in bursts of one to five."""
    size_wh: tuple[int, int] = (960, 540)
    seed: int = 0

    @property
    def people(self) -> int:
        """How many different people there are."""
        return len(self.actors)


@dataclass(frozen=True)
class Sight:
    """Where a face truly is in one frame."""

    actor: int
    face_xyxy: tuple[float, float, float, float]
    """In pixels of the frame; may reach beyond its edges."""
    visible_share: float
    """Of the face's box: inside the frame, uncovered and turned to the camera."""

    @property
    def is_visible(self) -> bool:
        """Whether a viewer of the frame would count this face."""
        return self.visible_share >= VISIBLE_SHARE


@dataclass(frozen=True)
class CrowdFrame:
    """One frame and its truth."""

    index: int
    """Counts all frames from 0, those that were dropped too."""
    time_s: float
    picture: Picture
    sights: tuple[Sight, ...]
    """All people with at least a part of the face inside the frame."""


def crowd_frames(crowd: Crowd, heads: Sequence[Head]) -> Iterator[CrowdFrame]:
    """The frames of the clip, drawn one at a time; dropped ones are left out.

    `ValueError` if an actor has a head that is not among `heads`.
    """
    if any(actor.head >= len(heads) for actor in crowd.actors):
        raise ValueError(f"{crowd.name}: expected heads below {len(heads)}, got one that is not there")
    rng = np.random.default_rng(crowd.seed)
    background = soft_background(crowd.size_wh, rng)
    noise_shape = (crowd.size_wh[1] + _NOISE_SHIFTS_PX, crowd.size_wh[0] + _NOISE_SHIFTS_PX, 3)
    noise = rng.normal(0.0, crowd.noise_sigma, noise_shape).astype(np.int8)
    dropped = _dropped(crowd, rng)
    away = [head.turned_away() for head in heads]
    for index in range(round(crowd.seconds * FPS)):
        if index not in dropped:
            picture, sights = _draw(crowd, heads, away, background, index / FPS)
            top, left = rng.integers(0, _NOISE_SHIFTS_PX, size=2)
            grain = noise[top : top + picture.shape[0], left : left + picture.shape[1]]
            noisy = cv2.add(picture, grain, dtype=cv2.CV_8U).astype(np.uint8, copy=False)
            yield CrowdFrame(index, index / FPS, noisy, sights)


def count_visits(frames: Iterable[tuple[float, Sequence[Sight]]], patience_s: float) -> int:
    """How many visits the frames show, each given by its time and truth.

    A visit ends when the face is out of sight for longer than `patience_s`.
    """
    last_s: dict[int, float] = {}
    visits = 0
    for time_s, sights in frames:
        for sight in sights:
            if sight.is_visible:
                visits += time_s - last_s.get(sight.actor, -math.inf) > patience_s
                last_s[sight.actor] = time_s
    return visits


def write_crowd(path: Path, crowd: Crowd, heads: Sequence[Head]) -> None:
    """Writes the clip as an MP4 that a simulated camera can play; a dropped frame shows the one before."""
    write_video(path, _filled(crowd_frames(crowd, heads)), size_wh=crowd.size_wh, fps=FPS)


def _filled(frames: Iterable[CrowdFrame]) -> Iterator[Picture]:
    shown = 0
    last: Picture | None = None
    for frame in frames:
        for _ in range(shown, frame.index):
            yield frame.picture if last is None else last
        last, shown = frame.picture, frame.index + 1
        yield frame.picture


def _dropped(crowd: Crowd, rng: np.random.Generator) -> set[int]:
    count = round(crowd.seconds * FPS)
    dropped: set[int] = set()
    while len(dropped) < crowd.dropped_share * count:
        start = int(rng.integers(1, count))
        dropped.update(range(start, min(count, start + int(rng.integers(1, 6)))))
    return dropped


def _draw(
    crowd: Crowd, heads: Sequence[Head], away: Sequence[Head], background: Picture, time_s: float
) -> tuple[Picture, tuple[Sight, ...]]:
    canvas = background.copy()
    owners = np.full(canvas.shape[:2], -1, np.int16)
    there = [(i, walk) for i, actor in enumerate(crowd.actors) if (walk := _walk_at(actor, time_s))]
    boxes = {}
    for i, walk in sorted(there, key=lambda one: _height_px(one[1], time_s)):
        head = (heads if walk.faces_camera else away)[crowd.actors[i].head]
        boxes[i] = _paste(canvas, owners, head, walk, time_s, crowd.exposure_s, i)
    sights = []
    for i, walk in there:
        share = _share_owned(owners, boxes[i], i)
        if share > 0:
            sights.append(Sight(i, boxes[i], share if walk.faces_camera else 0.0))
    return canvas, tuple(sights)


def _walk_at(actor: Actor, time_s: float) -> Walk | None:
    return next((walk for walk in actor.walks if walk.start_s <= time_s < walk.end_s), None)


def _height_px(walk: Walk, time_s: float) -> float:
    return float(np.interp(time_s, (walk.start_s, walk.end_s), (walk.start_px, walk.end_px)))


def _velocity_xy(walk: Walk) -> tuple[float, float]:
    length_s = walk.end_s - walk.start_s
    return (
        (walk.end_xy[0] - walk.start_xy[0]) / length_s,
        (walk.end_xy[1] - walk.start_xy[1]) / length_s,
    )


def _centre(walk: Walk, time_s: float) -> tuple[float, float]:
    passed_s = time_s - walk.start_s
    vx, vy = _velocity_xy(walk)
    walks = math.hypot(vx, vy) > _STRIDE_PX_S
    bob = _BOB_SHARE * walk.start_px * math.sin(2 * math.pi * _STEPS_HZ * passed_s) if walks else 0.0
    return walk.start_xy[0] + vx * passed_s, walk.start_xy[1] + vy * passed_s + bob


def _paste(
    canvas: Picture,
    owners: NDArray[np.int16],
    head: Head,
    walk: Walk,
    time_s: float,
    exposure_s: float,
    owner: int,
) -> tuple[float, float, float, float]:
    """Puts the head into the picture and says where its face is now."""
    scale = _height_px(walk, time_s) / head.face_wh[1]
    size_wh = (round(head.picture.shape[1] * scale), round(head.picture.shape[0] * scale))
    colour = cv2.resize(head.picture, size_wh, interpolation=cv2.INTER_AREA).astype(np.float32)
    opacity = cv2.resize(head.opacity, size_wh, interpolation=cv2.INTER_AREA)[:, :, None]
    blur_wh = tuple(1 + round(abs(speed) * exposure_s) for speed in _velocity_xy(walk))
    opaque = np.asarray(cv2.blur(np.dstack([colour * opacity, opacity]), blur_wh), np.float32)

    centre_xy = _centre(walk, time_s)
    left, top, right, bottom = (side * scale for side in head.face_xyxy)
    x = round(centre_xy[0] - (left + right) / 2)
    y = round(centre_xy[1] - (top + bottom) / 2)
    x0, y0 = max(0, x), max(0, y)
    x1, y1 = min(canvas.shape[1], x + size_wh[0]), min(canvas.shape[0], y + size_wh[1])
    if x1 > x0 and y1 > y0:
        shown = opaque[y0 - y : y1 - y, x0 - x : x1 - x]
        below = canvas[y0:y1, x0:x1]
        below[:] = (shown[:, :, :3] + below * (1.0 - shown[:, :, 3:])).round()
        owners[y0:y1, x0:x1][shown[:, :, 3] > 0.5] = owner
    return x + left, y + top, x + right, y + bottom


def _share_owned(
    owners: NDArray[np.int16], face_xyxy: tuple[float, float, float, float], owner: int
) -> float:
    left, top, right, bottom = (round(side) for side in face_xyxy)
    seen = owners[max(0, top) : max(0, bottom), max(0, left) : max(0, right)] == owner
    return float(np.count_nonzero(seen)) / max(1, (right - left) * (bottom - top))
