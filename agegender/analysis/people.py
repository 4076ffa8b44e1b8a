"""Who was in a video: the faces of each person put together."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from services.detect.tracker import Track, Tracker
from shared.messages import FrameInfo, Gender, Result

_SUREST = 0.999
_LEAST_WEIGHT = 0.05


@dataclass(frozen=True, slots=True)
class Analyzed:
    """What was found in one picture, or in one frame of a video."""

    info: FrameInfo
    time_s: float
    """Since the beginning of the video; 0 for a picture."""
    faces: tuple[Result, ...]
    """From left to right. In a video, `face.track_id` tells the person; None where it is nobody for sure."""


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who was seen in at least three frames of a video."""

    track_id: str
    first_s: float
    last_s: float
    faces: int
    """Frames in which the face was found."""
    judged: int
    """How many of these were large and sharp enough to be judged."""
    age_years: float | None
    """The mean of the judged faces, weighted by their quality; None where none was judged."""
    age_interval_years: tuple[float, float] | None
    """The mean interval, weighted alike. Not narrower than of one face: the views of one person err alike."""
    gender: Gender
    """By the sum of the log odds of all judged faces, weighted alike; `unknown` where most are that."""
    gender_confidence: float
    """From the mean of the log odds, for the same reason as the interval; 0.5 where nothing was judged."""


class Evidence:
    """Sums what the faces of one person say. A face whose gender is unknown speaks for neither."""

    def __init__(self) -> None:
        self.faces = 0
        self.judged = 0
        self._weight = 0.0
        self._unknown_weight = 0.0
        self._age = 0.0
        self._interval: tuple[float, float] | None = (0.0, 0.0)
        self._male_log_odds = 0.0

    def add(self, result: Result) -> None:
        """Counts one more face."""
        self.faces += 1
        if result.age_years is None:
            return
        quality = result.face.score if result.face.quality is None else result.face.quality
        weight = max(quality, _LEAST_WEIGHT)
        self.judged += 1
        self._weight += weight
        self._age += weight * result.age_years
        if self._interval is None or result.age_interval_years is None:
            self._interval = None
        else:
            low, high = result.age_interval_years
            self._interval = (self._interval[0] + weight * low, self._interval[1] + weight * high)
        if result.gender == "unknown":
            self._unknown_weight += weight
        else:
            sure = min(max(result.gender_confidence, 0.5), _SUREST)
            sign = 1 if result.gender == "male" else -1
            self._male_log_odds += sign * weight * math.log(sure / (1 - sure))

    @property
    def age_years(self) -> float | None:
        """The weighted mean."""
        return round(self._age / self._weight, 1) if self._weight else None

    @property
    def age_interval_years(self) -> tuple[float, float] | None:
        """The weighted mean of the lower and of the upper ends; None where a judged face had none."""
        if not self._weight or self._interval is None:
            return None
        return round(self._interval[0] / self._weight, 1), round(self._interval[1] / self._weight, 1)

    @property
    def gender(self) -> Gender:
        """By the sign of the sum."""
        if self._male_log_odds == 0 or self._unknown_weight > self._weight / 2:
            return "unknown"
        return "male" if self._male_log_odds > 0 else "female"

    @property
    def gender_confidence(self) -> float:
        """0.5 to 1."""
        if not self._weight:
            return 0.5
        return round(1 / (1 + math.exp(-abs(self._male_log_odds / self._weight))), 4)


@dataclass
class Someone:
    """Whoever a face belongs to, as far as it is known by now."""

    track: Track
    evidence: Evidence = field(default_factory=Evidence)


class People:
    """Tells which face of a video is whose, and sums up each person.

    Frames are held back until it is certain of each of their faces whether it belongs to a person: about half
    a second. What is held are results, no pictures.
    """

    def __init__(self) -> None:
        self._tracker = Tracker()
        self._held: deque[tuple[Analyzed, list[Track]]] = deque()
        self._known: dict[int, Someone] = {}
        self._persons: list[Someone] = []

    def add(self, frame: Analyzed) -> list[Someone]:
        """Takes the next frame; the return value is whose each of its faces is."""
        tracks = self._tracker.update([one.face.box_xyxy for one in frame.faces], frame.time_s)
        self._held.append((frame, tracks))
        known_faces = []
        for track, result in zip(tracks, frame.faces, strict=True):
            known = self._known.setdefault(id(track), Someone(track))
            known.evidence.add(result)
            known_faces.append(known)
        self._sort_out()
        return known_faces

    def ready(self) -> Iterator[Analyzed]:
        """The frames of which all is known, in order, their faces with the ids of their persons."""
        while self._held and all(track.is_settled for track in self._held[0][1]):
            frame, tracks = self._held.popleft()
            yield _named(frame, tracks)

    def finish(self) -> Iterator[Analyzed]:
        """The frames that are left when no more will come."""
        self._tracker.end()
        self._sort_out()
        yield from self.ready()

    def persons(self) -> list[Person]:
        """Everyone so far, in the order in which they were confirmed."""
        return [_person(known) for known in self._persons]

    def _sort_out(self) -> None:
        for key, known in list(self._known.items()):
            if known.track.number is not None and known not in self._persons:
                self._persons.append(known)
            if known.track.ended:
                del self._known[key]


def _named(frame: Analyzed, tracks: Sequence[Track]) -> Analyzed:
    faces = tuple(
        result.model_copy(update={"face": result.face.model_copy(update={"track_id": _track_id(track)})})
        for result, track in zip(frame.faces, tracks, strict=True)
    )
    return Analyzed(frame.info, frame.time_s, faces)


def _track_id(track: Track) -> str | None:
    return None if track.number is None else str(track.number)


def _person(known: Someone) -> Person:
    evidence = known.evidence
    return Person(
        track_id=str(known.track.number),
        first_s=round(known.track.first_s, 3),
        last_s=round(known.track.last_s, 3),
        faces=evidence.faces,
        judged=evidence.judged,
        age_years=evidence.age_years,
        age_interval_years=evidence.age_interval_years,
        gender=evidence.gender,
        gender_confidence=evidence.gender_confidence,
    )
