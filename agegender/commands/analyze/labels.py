"""Boxes and labels that can be read on any picture: bright or dark, tiny or huge."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from agegender.shared.images.pictures import Bgr
from agegender.shared.messages.pipeline import BoxXyxy, Gender

MIN_LONGER_SIDE_PX = 320
"""A smaller picture is enlarged by a whole factor, as no label could be read in it."""

_WHITE, _INK = (255, 255, 255), (24, 24, 24)
# Told apart by people who see few colours too (M. Okabe and K. Ito, "Color Universal Design", 2008).
_COLOURS_BGR: dict[Gender, tuple[int, int, int]] = {
    "female": (0, 159, 230),
    "male": (233, 180, 86),
    "unknown": (225, 225, 225),
}
_SMALLEST_TEXT_PX = 12.0
_CROWD = 12  # faces; with more, shorter and smaller labels have to do
_WEIGHT = 600

Rect = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What is to be drawn of one face."""

    box_xyxy: BoxXyxy
    text: str
    gender: Gender = "unknown"
    """Chooses the colour."""
    short_text: str = ""
    """Takes the place of `text` in a crowd."""


@dataclass(frozen=True, slots=True)
class _Label:
    text: str
    colour_bgr: tuple[int, int, int]
    size_px: int


class _Fonts(threading.local):
    """OpenCV's own font, which knows all common scripts; one for each thread."""

    def __init__(self) -> None:
        self.sans = cv2.FontFace("sans")


_fonts = _Fonts()


def draw(picture_bgr: Bgr, marks: Sequence[Mark]) -> Bgr:
    """A copy of the picture with a box and a label for each mark; see `MIN_LONGER_SIDE_PX` for its size."""
    height_px, width_px = picture_bgr.shape[:2]
    factor = max(1, math.ceil(MIN_LONGER_SIDE_PX / max(height_px, width_px)))
    size_wh = (width_px * factor, height_px * factor)
    canvas = np.asarray(
        cv2.resize(picture_bgr, size_wh, interpolation=cv2.INTER_CUBIC) if factor > 1 else picture_bgr.copy(),
        np.uint8,
    )
    boxes = [_rect([side * factor for side in mark.box_xyxy]) for mark in marks]
    for mark, box in zip(marks, boxes, strict=True):
        _draw_box(canvas, box, _COLOURS_BGR[mark.gender])
    is_crowd = len(marks) > _CROWD
    least_px = max(_SMALLEST_TEXT_PX, max(canvas.shape[:2]) / (110 if is_crowd else 70))
    plates: list[Rect] = []
    for mark, box in zip(marks, boxes, strict=True):
        if text := (mark.short_text or mark.text) if is_crowd else mark.text:
            label = _Label(text, _COLOURS_BGR[mark.gender], _fitting(canvas, text, box[2] - box[0], least_px))
            plates.append(_draw_label(canvas, label, box, boxes, plates))
    return canvas


def _rect(sides: Sequence[float]) -> Rect:
    left, top, right, bottom = (round(side) for side in sides)
    return left, top, right, bottom


def _draw_box(canvas: Bgr, box: Rect, colour_bgr: tuple[int, int, int]) -> None:
    """A line in the face's colour with a dark rim, so that one of the two stands out from anything."""
    line_px = max(1, round(min(max(canvas.shape[:2]) / 400, (box[2] - box[0]) / 25)))
    rim_px = max(1, line_px // 2)
    for thickness_px, colour in ((line_px + 2 * rim_px, _INK), (line_px, colour_bgr)):
        cv2.rectangle(canvas, box[:2], box[2:], colour, thickness_px, cv2.LINE_8)


def _draw_label(canvas: Bgr, label: _Label, box: Rect, boxes: Sequence[Rect], plates: Sequence[Rect]) -> Rect:
    pad_px = max(2, round(0.35 * label.size_px))
    bar_px = max(2, round(0.2 * label.size_px))
    plate_wh = (
        _text_px(label.text, label.size_px) + 2 * pad_px + bar_px,
        round(1.15 * label.size_px) + pad_px,
    )
    left, top = min(
        _places(canvas, box, plate_wh),
        key=lambda at: _clutter((*at, at[0] + plate_wh[0], at[1] + plate_wh[1]), box, boxes, plates),
    )
    right, bottom = left + plate_wh[0], top + plate_wh[1]
    cv2.rectangle(canvas, (left, top), (right - 1, bottom - 1), _INK, cv2.FILLED)
    cv2.rectangle(canvas, (left, top), (left + bar_px - 1, bottom - 1), label.colour_bgr, cv2.FILLED)
    cv2.rectangle(canvas, (left, top), (right - 1, bottom - 1), label.colour_bgr, 1)
    start_xy = (left + bar_px + pad_px, bottom - pad_px // 2 - round(0.24 * label.size_px))
    cv2.putText(canvas, label.text, start_xy, _WHITE, _fonts.sans, label.size_px, _WEIGHT)
    return left, top, right, bottom


def _fitting(canvas: Bgr, text: str, face_px: int, least_px: float) -> int:
    """The size of the text: as large as suits face and picture, and no wider than the picture."""
    height_px, width_px = canvas.shape[:2]
    most_px = max(max(height_px, width_px) / 28, least_px)
    size_px: int = round(min(max(face_px / 7, least_px), most_px))
    while size_px > 6 and _text_px(text, size_px) + 1.2 * size_px > width_px:
        size_px -= 1
    return size_px


def _text_px(text: str, size_px: int) -> int:
    """The width of the text."""
    return int(cv2.getTextSize((0, 0), text, (0, 0), _fonts.sans, size_px, _WEIGHT)[2])


def _places(canvas: Bgr, box: Rect, plate_wh: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Where a plate may stand, the best first, each within the picture."""
    left, top, right, bottom = box
    width, height = plate_wh
    for step in range(4):
        for x in (left, right - width):
            yield _inside(canvas, x, top - height - step * height, plate_wh)
            yield _inside(canvas, x, bottom + step * height, plate_wh)
    for y in (top, bottom - height):
        yield _inside(canvas, right, y, plate_wh)
        yield _inside(canvas, left - width, y, plate_wh)


def _inside(canvas: Bgr, x: int, y: int, plate_wh: tuple[int, int]) -> tuple[int, int]:
    most_x, most_y = canvas.shape[1] - plate_wh[0], canvas.shape[0] - plate_wh[1]
    return max(0, min(x, most_x)), max(0, min(y, most_y))


def _clutter(plate: Rect, box: Rect, boxes: Sequence[Rect], plates: Sequence[Rect]) -> float:
    """How much a plate would hide, and how far it would be from its face, in pixels squared."""
    hidden = 20.0 * sum(_shared(plate, other) for other in plates)
    hidden += sum((1.0 if other == box else 3.0) * _shared(plate, other) for other in boxes)
    away = max(0, box[1] - plate[3], plate[1] - box[3], box[0] - plate[2], plate[0] - box[2])
    return hidden + 0.5 * away * (plate[3] - plate[1])


def _shared(one: Rect, other: Rect) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return float(max(0, width) * max(0, height))
