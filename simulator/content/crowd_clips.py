"""The clips that the tracker is held to, and streets of as many people as wanted.

Speeds are in heights of a face a second: strolling past a camera makes two to three of them, walking fast
five. A frame shows 960 x 540 pixels.
"""

from __future__ import annotations

import numpy as np

from agegender.simulator.content.crowds import Actor, Crowd, Walk
from agegender.simulator.content.heads import MOST_HEADS

_WIDTH, _HEIGHT = 960, 540
_STREET_S = 14.0


def across(
    start_s: float,
    y: float,
    face_px: float,
    speed: float,
    *,
    leftwards: bool = False,
) -> Walk:
    """From one edge of the frame out of the other, at `speed` faces a second."""
    way = (-face_px, _WIDTH + face_px)
    start_x, end_x = way[::-1] if leftwards else way
    end_s = start_s + (way[1] - way[0]) / (speed * face_px)
    return Walk(start_s, end_s, (start_x, y), (end_x, y), face_px, face_px)


def crowd_clips() -> tuple[Crowd, ...]:
    """Clips of one to twelve people, the harder ones last."""
    return (*_alone(), *_few(), *_many())


def street(people: int, seed: int, *, speed: tuple[float, float] = (1.5, 5.0)) -> Crowd:
    """Each of `people` crosses the frame once, on a line, with a size, at a pace and at a time of their own.

    One in four stops on the way. Equal arguments give equal clips. Seen are as many visits as people.
    """
    rng = np.random.default_rng(seed)
    actors = []
    for head, line in enumerate(rng.permutation(people).tolist()):
        # As far apart as the frame allows: the nearer, the lower and the larger.
        y = 110.0 + line * 300.0 / max(1, people - 1) + float(rng.uniform(-10, 10))
        face_px = 50.0 + 0.16 * y + float(rng.uniform(-8, 8))
        backpressure = float(rng.uniform(*speed))
        way = across(0.0, y, face_px, backpressure, leftwards=bool(rng.integers(2)))
        start_s = float(rng.uniform(0.0, max(0.1, _STREET_S - way.end_s)))
        way = across(start_s, y, face_px, backpressure, leftwards=way.start_xy[0] > way.end_xy[0])
        actors.append(Actor(head % MOST_HEADS, _stopping(way, rng) if head % 4 == 3 else (way,)))
    return Crowd(
        f"street of {people}, {seed}",
        tuple(actors),
        visits=people,
        seconds=_STREET_S,
        noise_sigma=float(rng.uniform(2, 8)),
        exposure_s=float(rng.uniform(0.005, 0.03)),
        dropped_share=float(rng.choice([0.0, 0.1])),
        seed=seed,
    )


def _stopping(way: Walk, rng: np.random.Generator) -> tuple[Walk, ...]:
    share, pause_s = float(rng.uniform(0.3, 0.7)), float(rng.uniform(1.0, 2.0))
    x = way.start_xy[0] + share * (way.end_xy[0] - way.start_xy[0])
    here, stop_s = (x, way.start_xy[1]), way.start_s + share * (way.end_s - way.start_s)
    px = way.start_px
    return (
        Walk(way.start_s, stop_s, way.start_xy, here, px, px),
        Walk(stop_s, stop_s + pause_s, here, here, px, px),
        Walk(stop_s + pause_s, way.end_s + pause_s, here, way.end_xy, px, px),
    )


def _standing(start_s: float, end_s: float, x: float, y: float, px: float, *, faces: bool = True) -> Walk:
    return Walk(start_s, end_s, (x, y), (x, y), px, px, faces_camera=faces)


def _out_and_back(head: int, away_s: float, y: float, px: float, start_s: float = 0.0) -> Actor:
    """Comes from the left, leaves on the right, and is back there when away for `away_s`."""
    speed = 3.0 * px
    half = px * 0.35  # half a face's width: with its centre on the edge, half of the face is in sight
    come_s = (_WIDTH / 2 + px) / speed
    turn_s, out_s = start_s + come_s, (_WIDTH / 2 + half) / speed
    gone_s = turn_s + out_s
    back_s = gone_s + away_s - 2 * half / speed
    middle, beyond = (_WIDTH / 2, y), (_WIDTH + half, y)
    return Actor(
        head,
        (
            Walk(start_s, turn_s, (-px, y), middle, px, px),
            Walk(turn_s, gone_s, middle, beyond, px, px),
            Walk(back_s, back_s + out_s, beyond, middle, px, px),
        ),
    )


def _alone() -> tuple[Crowd, ...]:
    looks_down = (
        _standing(0.0, 3.0, 400, 260, 120),
        _standing(3.0, 4.0, 400, 260, 120, faces=False),
        _standing(4.0, 8.0, 400, 260, 120),
    )
    turns_away = (
        _standing(0.0, 3.0, 400, 260, 120),
        _standing(3.0, 11.0, 400, 260, 120, faces=False),
        _standing(11.0, 14.0, 400, 260, 120),
    )
    comes_near = (Walk(0.0, 6.0, (480, 160), (520, 300), 36, 230),)
    return (
        Crowd("one strolls past", (Actor(0, (across(0.5, 260, 110, 2.0),)),), visits=1, seconds=7.0),
        Crowd("one hurries past", (Actor(1, (across(0.5, 260, 100, 5.0),)),), visits=1, seconds=5.0),
        Crowd("one comes near", (Actor(2, comes_near),), visits=1, seconds=6.0, noise_sigma=6.0),
        Crowd("one looks down for 1 s", (Actor(3, looks_down),), visits=1, seconds=8.0, noise_sigma=12.0),
        Crowd("one turns away for 8 s", (Actor(4, turns_away),), visits=2, seconds=14.0),
        Crowd("one is back after 1 s", (_out_and_back(5, 1.0, 250, 110),), visits=1, seconds=8.0),
        Crowd("one is back after 8 s", (_out_and_back(6, 8.0, 250, 110),), visits=2, seconds=14.0),
    )


def _few() -> tuple[Crowd, ...]:
    pass_by = (
        Actor(0, (across(0.3, 240, 90, 2.5),)),
        Actor(7, (across(0.3, 270, 130, 2.0, leftwards=True),)),
    )
    meet = (
        Actor(
            1,
            (
                Walk(0.0, 3.0, (60, 250), (430, 250), 100, 100),
                _standing(3.0, 5.0, 430, 250, 100),
                Walk(5.0, 8.0, (430, 250), (60, 250), 100, 100),
            ),
        ),
        Actor(
            8,
            (
                Walk(0.0, 3.0, (900, 262), (530, 262), 105, 105),
                _standing(3.0, 5.0, 530, 262, 105),
                Walk(5.0, 8.0, (530, 262), (900, 262), 105, 105),
            ),
        ),
    )
    behind = (
        Actor(9, (_standing(0.0, 9.0, 300, 240, 90),)),
        Actor(10, (_standing(0.0, 9.0, 620, 250, 95),)),
        Actor(2, (across(1.0, 270, 150, 1.2),)),
    )
    pairs = (
        Actor(3, (across(0.2, 180, 80, 3.5),)),
        Actor(4, (across(0.8, 190, 82, 3.0, leftwards=True),)),
        Actor(5, (across(0.4, 340, 110, 2.5),)),
        Actor(11, (across(0.4, 350, 120, 2.0, leftwards=True),)),
    )
    side_by_side = tuple(Actor(6 + i, (across(0.3 + 0.6 * i, 200.0 + 30 * i, 95, 2.2),)) for i in range(4))
    return (
        Crowd("two pass by each other", pass_by, visits=2, seconds=7.0),
        Crowd("two pass by, 20 % dropped", pass_by, visits=2, seconds=7.0, dropped_share=0.2, seed=1),
        Crowd("two meet and turn back", meet, visits=2, seconds=8.0, noise_sigma=6.0),
        Crowd("one passes in front of two", behind, visits=3, seconds=9.0),
        Crowd("two pairs cross", pairs, visits=4, seconds=7.0, exposure_s=0.03, noise_sigma=8.0),
        Crowd("four in a column", side_by_side, visits=4, seconds=8.0, dropped_share=0.1, seed=2),
    )


def _many() -> tuple[Crowd, ...]:
    row = tuple(Actor(i, (_standing(0.0, 12.0, 110.0 + 180 * i, 220, 85),)) for i in range(5))
    queue = (*row, Actor(6, (across(1.0, 270, 130, 1.5),)))
    coming_back = street(8, 21, speed=(1.5, 3.5)).actors
    returning = (*coming_back, _out_and_back(8, 1.0, 60, 60), _out_and_back(9, 8.0, 480, 100))
    return (
        Crowd("one passes in front of five", queue, visits=6, seconds=12.0, noise_sigma=5.0),
        street(8, 1),
        street(10, 2),
        street(12, 3),
        street(12, 4, speed=(1.0, 2.5)),
        street(12, 5, speed=(4.0, 6.0)),
        Crowd("ten, two come back", returning, visits=11, seconds=18.0, noise_sigma=6.0),
    )
