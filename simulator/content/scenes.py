"""Ready clips of which the truth is known: how many faces every frame shows, and which person each shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from agegender.simulator.content.cache import cache_folder
from agegender.simulator.content.clips import Picture, Placement, make_clip
from agegender.simulator.content.samples import SamplesUnavailable, fetch_samples

ASTRONAUT = Path(__file__).parents[1] / "astronaut.jpg"
"""512 x 512 px portrait of one woman, in the repository (see NOTICE.md)."""

_RECIPE = 1
"""Part of every cached clip's name: raise it when `make_clip` draws equal arguments differently."""


@dataclass(frozen=True)
class SceneFace:
    """One person in a scene. No true age is documented: `looks_years` is a generous guess by eye."""

    name: str
    gender: Literal["female", "male"]
    looks_years: tuple[int, int]


@dataclass(frozen=True)
class Scene:
    """A clip and what every one of its frames shows."""

    path: Path
    left_to_right: tuple[SceneFace, ...]

    @property
    def face_count(self) -> int:
        """Faces in every frame."""
        return len(self.left_to_right)


ASTRONAUT_WOMAN = SceneFace("astronaut", "female", (20, 48))
TEENAGE_BOY = SceneFace("teenage boy", "male", (10, 24))

_GROUP = (
    SceneFace("young man in sunglasses", "male", (15, 40)),
    SceneFace("young woman with long hair", "female", (10, 30)),
    TEENAGE_BOY,
    SceneFace("young woman in black", "female", (10, 30)),
    SceneFace("young woman with red hair", "female", (10, 30)),
)
_BOY_IN_GROUP_XYXY = (408, 155, 546, 318)
_HEAD_OF_ASTRONAUT_XYXY = (80, 0, 365, 310)


def demo_scene(cache: Path | None = None) -> Scene:
    """720p, 25 fps, 4 s: five young people and the astronaut; offline, the astronaut twice in two sizes."""
    astronaut = read_picture(ASTRONAUT)
    try:
        group = read_picture(fetch_samples(cache).multi_face)
    except SamplesUnavailable:
        twice = [Placement(astronaut, (400, 360), 600), Placement(astronaut, (960, 380), 360)]
        return _scene("demo-offline", twice, (ASTRONAUT_WOMAN, ASTRONAUT_WOMAN), cache)
    placements = [Placement(group, (440, 370), 500), Placement(astronaut, (1030, 370), 400)]
    return _scene("demo", placements, (*_GROUP, ASTRONAUT_WOMAN), cache)


def pair_scene(*, swapped: bool, cache: Path | None = None) -> Scene:
    """720p, 25 fps, 4 s: the astronaut on the left and a teenage boy on the right, or the other way round.

    The two differ in gender and, by eye, by some fifteen years: an answer given to the wrong person shows.

    Raises `SamplesUnavailable` offline.
    """
    boy = _cut(read_picture(fetch_samples(cache).multi_face), _BOY_IN_GROUP_XYXY)
    astronaut = _cut(read_picture(ASTRONAUT), _HEAD_OF_ASTRONAUT_XYXY)
    left_xy, right_xy = (340, 360), (940, 360)
    placements = [
        Placement(astronaut, right_xy if swapped else left_xy, 440),
        Placement(boy, left_xy if swapped else right_xy, 330),
    ]
    people = (ASTRONAUT_WOMAN, TEENAGE_BOY)
    return _scene("pair", placements, people[::-1] if swapped else people, cache)


def no_faces(cache: Path | None = None) -> Scene:
    """720p, 25 fps, 4 s: nothing but the background. Needs no network."""
    return _scene("no-faces", [], (), cache)


def read_picture(path: Path) -> Picture:
    """The picture at `path`, (height, width, 3), BGR. `ValueError` for a file that is no picture."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"expected a picture at {path}, found none that OpenCV can read")
    return picture.astype(np.uint8, copy=False)


def _cut(picture: Picture, box_xyxy: tuple[int, int, int, int]) -> Picture:
    left, top, right, bottom = box_xyxy
    return picture[top:bottom, left:right]


def _scene(
    name: str, placements: Sequence[Placement], people: tuple[SceneFace, ...], cache: Path | None
) -> Scene:
    path = cache_folder(cache) / "clips" / f"{name}-{_content_key(placements)}.mp4"
    if not path.exists():
        make_clip(path, placements)
    return Scene(path, people)


def _content_key(placements: Sequence[Placement]) -> str:
    digest = hashlib.sha256(str(_RECIPE).encode())
    for placement in placements:
        where = [placement.picture.shape, placement.centre_xy, placement.height_px]
        digest.update(json.dumps(where).encode())
        digest.update(np.ascontiguousarray(placement.picture).tobytes())
    return digest.hexdigest()[:12]
