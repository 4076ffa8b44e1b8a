"""Annotated copies of pictures and videos: what is drawn on them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from agegender.analysis.analyzer import AnalyzedFrame
from agegender.analysis.people import Analyzed, OngoingPerson
from agegender.commands.analyze.labels import Mark, draw
from agegender.commands.face_rows import face_label, interval_text
from agegender.shared.images.anonymization import anonymize
from agegender.shared.images.pictures import Bgr
from agegender.shared.messages.pipeline import BoxXyxy, Result

_COVERED_S = 0.5
_MOST_HELD = 12  # frames in memory: 300 MB of 4K


@dataclass(frozen=True, slots=True)
class Style:
    """What a copy shows."""

    anonymizes: bool = False
    """Whether the faces are covered, also those that the detector is not sure of."""
    labels: bool = True
    """Whether there are boxes and labels."""

    def apply(self, picture_bgr: Bgr, marks: Sequence[Mark], covered_xyxy: Sequence[BoxXyxy]) -> Bgr:
        """The picture as it is to be shown, a copy."""
        if self.anonymizes:
            picture_bgr = anonymize(picture_bgr, covered_xyxy)
        return draw(picture_bgr, marks if self.labels else ())


def covered_boxes(found: Analyzed) -> tuple[BoxXyxy, ...]:
    """What is to be covered of a picture: the faces, and what may be one."""
    return (*(one.face.box_xyxy for one in found.faces), *found.doubtful_xyxy)


def picture_marks(faces: Sequence[Result]) -> list[Mark]:
    """What is to be drawn of the faces of a picture."""
    return [
        Mark(
            one.face.box_xyxy,
            _with_interval(face_label(one), one.age_interval_years),
            one.gender,
            face_label(one),
        )
        for one in faces
    ]


def video_marks(faces: Sequence[Result], people: Sequence[OngoingPerson]) -> list[Mark]:
    """The same in a video: what is known of the person by now, which is steadier than a single frame."""
    marks = []
    for one, person in zip(faces, people, strict=True):
        known = person.verdict
        text = face_label(one)
        if known.age_years is not None:
            text = f"{'?' if known.gender == 'unknown' else known.gender} {known.age_years:.0f}"
        number = f"#{person.track.number} " if person.track.number is not None else ""
        full = _with_interval(number + text, known.age_interval_years)
        marks.append(Mark(one.face.box_xyxy, full, known.gender, number + text))
    return marks


def _with_interval(text: str, years: tuple[float, float] | None) -> str:
    return text if years is None else f"{text} ({interval_text(years)})"


@dataclass(slots=True)
class _Held:
    picture_bgr: Bgr
    time_s: float
    marks: Sequence[Mark]
    covered_xyxy: tuple[BoxXyxy, ...]


class VideoCopy:
    """The frames of a video with what was found in them, in order, ready to be written or shown.

    A frame that was not analyzed shows the boxes of the last one that was. Where faces are covered, a frame
    is held back for half a second (12 frames at most), and covered wherever a face was found so shortly
    before or after it: a detector misses a face now and then, and one such frame would show it.
    """

    def __init__(self, style: Style, fps: Fraction) -> None:
        self._style = style
        self._reach = min(_MOST_HELD, math.ceil(_COVERED_S * fps)) if style.anonymizes else 0
        self._frames: deque[_Held] = deque()
        self._before: deque[tuple[BoxXyxy, ...]] = deque(maxlen=self._reach)
        self._marks: Sequence[Mark] = ()
        self._covered_xyxy: tuple[BoxXyxy, ...] = ()

    def add(self, seen: AnalyzedFrame, people: Sequence[OngoingPerson]) -> Iterator[tuple[Bgr, float]]:
        """Takes the next frame; gives those that are ready, with their times."""
        if seen.found is not None:
            self._marks = video_marks(seen.found.faces, people)
            self._covered_xyxy = covered_boxes(seen.found)
        if seen.picture_bgr is not None:
            held = _Held(seen.picture_bgr, seen.moment.time_s, self._marks, self._covered_xyxy)
            self._frames.append(held)
        while len(self._frames) > self._reach:
            yield self._next()

    def finish(self) -> Iterator[tuple[Bgr, float]]:
        """The frames that are left."""
        while self._frames:
            yield self._next()

    def _next(self) -> tuple[Bgr, float]:
        around = [*self._before, *(held.covered_xyxy for held in self._frames)]
        first = self._frames.popleft()
        if self._reach:
            self._before.append(first.covered_xyxy)
        covered = [box for boxes in around for box in boxes]
        return self._style.apply(first.picture_bgr, first.marks, covered), first.time_s
