"""Heads of twelve different people, cut out of still pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from agegender.simulator.content.clips import Picture
from agegender.simulator.content.samples import Samples, SamplesUnavailable, fetch_samples
from agegender.simulator.content.scenes import ASTRONAUT, read_picture

MOST_HEADS = 12

_FACE_OF_ASTRONAUT_XYXY = (178, 63, 268, 176)
_FACES_OF_GROUP_XYXY = (
    (214, 61, 308, 175),
    (313, 235, 410, 359),
    (437, 216, 517, 314),
    (533, 307, 627, 435),
    (684, 288, 786, 421),
)
_FACES_XYXY = {
    "single_face": (191, 147, 374, 399),
    "woman_surprised": (119, 95, 403, 474),
    "woman_smiling": (105, 109, 387, 488),
    "woman_angry": (98, 126, 383, 478),
    "man_disgusted": (47, 147, 272, 468),
}
_FACE_IN_WOMAN_VIDEO_XYXY = (327, 45, 539, 348)

# What is cut out beside the face, in widths and heights of the face.
_BESIDE, _ABOVE, _BELOW = 0.45, 0.45, 0.35
_SOFT_SHARE = 0.12


@dataclass(frozen=True)
class Head:
    """A head to be put before a background."""

    picture: Picture
    opacity: NDArray[np.float32]
    """(height, width), 0 to 1: an oval with a soft edge."""
    face_xyxy: tuple[float, float, float, float]
    """Where the face is, in pixels of the picture."""

    @property
    def face_wh(self) -> tuple[float, float]:
        """Width and height of the face."""
        return self.face_xyxy[2] - self.face_xyxy[0], self.face_xyxy[3] - self.face_xyxy[1]

    def turned_away(self) -> Head:
        """The same head without a face: all of it has the colour of its top."""
        colour = self.picture[: max(2, len(self.picture) // 6)].mean(axis=(0, 1))
        return Head(np.full_like(self.picture, colour), self.opacity, self.face_xyxy)


def read_heads(cache: Path | None = None) -> tuple[Head, ...]:
    """The heads of `MOST_HEADS` different people; offline as often the astronaut's, every other one mirrored.

    A tracker that uses positions alone does not mind that all are of one person.
    """
    astronaut = cut_head(read_picture(ASTRONAUT), _FACE_OF_ASTRONAUT_XYXY)
    try:
        samples = fetch_samples(cache)
    except SamplesUnavailable:
        return (astronaut, _mirrored(astronaut)) * (MOST_HEADS // 2)
    return (astronaut, *_heads_of(samples))


def cut_head(picture: Picture, face_xyxy: tuple[int, int, int, int]) -> Head:
    """The head around a face, with hair and neck as far as the picture shows them."""
    left, top, right, bottom = face_xyxy
    width, height = right - left, bottom - top
    x0, x1 = max(0, round(left - _BESIDE * width)), min(picture.shape[1], round(right + _BESIDE * width))
    y0, y1 = max(0, round(top - _ABOVE * height)), min(picture.shape[0], round(bottom + _BELOW * height))
    cut = picture[y0:y1, x0:x1].copy()
    return Head(cut, _oval(x1 - x0, y1 - y0), (left - x0, top - y0, right - x0, bottom - y0))


def _heads_of(samples: Samples) -> Iterator[Head]:
    group = read_picture(samples.multi_face)
    for face_xyxy in _FACES_OF_GROUP_XYXY:
        yield cut_head(group, face_xyxy)
    for name, face_xyxy in _FACES_XYXY.items():
        yield cut_head(read_picture(getattr(samples, name)), face_xyxy)
    yield cut_head(_first_frame(samples.woman_video), _FACE_IN_WOMAN_VIDEO_XYXY)


def _first_frame(path: Path) -> Picture:
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="bgr24").astype(np.uint8, copy=False)


def _mirrored(head: Head) -> Head:
    left, top, right, bottom = head.face_xyxy
    width = head.picture.shape[1]
    picture = cv2.flip(head.picture, 1).astype(np.uint8, copy=False)
    return Head(picture, head.opacity[:, ::-1].copy(), (width - right, top, width - left, bottom))


def _oval(width: int, height: int) -> NDArray[np.float32]:
    across = np.linspace(-1.0, 1.0, width)[None, :]
    down = np.linspace(-1.0, 1.0, height)[:, None]
    # Between an ellipse and a rectangle: the corners of a face's box are inside.
    reach = (np.abs(across) ** 3 + np.abs(down) ** 3) ** (1 / 3)
    return np.asarray(np.clip((1.0 - reach) / _SOFT_SHARE, 0.0, 1.0), np.float32)
