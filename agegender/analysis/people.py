"""The people of a video: sums up the faces of each person."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from agegender.analysis.spread_votes import SpreadVotes
from agegender.services.detect.tracking.tracker import Track, Tracker
from agegender.shared.messages.pipeline import BoxXyxy, FrameInfo, Gender, Result
from agegender.shared.messages.votes import Verdict, Vote


@dataclass(frozen=True, slots=True)
class Analyzed:
    """What was found in one picture, or in one frame of a video."""

    info: FrameInfo
    time_s: float
    """Since the beginning of the video; 0 for a picture."""
    faces: tuple[Result, ...]
    """From left to right. In a video, `face.track_id` tells the person; None while no track is confirmed."""
    doubtful_xyxy: tuple[BoxXyxy, ...] = ()
    """Where there may be faces too, in pixels of the picture: the detector is not sure enough to have them
    classified, and copies cover them."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person seen in at least three frames of a video."""

    track_id: str
    first_s: float
    last_s: float
    faces: int
    """Frames in which the face was found."""
    classified: int
    """How many of these were large and sharp enough to be classified."""
    age_years: float | None
    """What faces from the whole visit say together (`spread_votes.py`); None where none was classified."""
    age_interval_years: tuple[float, float] | None
    """Hardly narrower than of the best face: the views of one person err alike."""
    gender: Gender
    """`unknown` where neither is likely enough."""
    gender_confidence: float
    """0.5 where nothing was classified."""
    nets: str | None
    """The pack that classified the faces; None where nothing was classified."""


@dataclass
class OngoingPerson:
    """The person of a face, as far as it is known by now."""

    track: Track
    faces: int = 0
    """Frames in which the face was found."""
    classified: int = 0
    """How many of these were classified."""
    _votes: SpreadVotes = field(default_factory=SpreadVotes)

    def add(self, result: Result, time_s: float) -> None:
        """Counts one more face, of the frame at `time_s`."""
        self.faces += 1
        self.classified += result.age_years is not None
        self._votes.add(Vote.of(result, self.faces), time_s)

    @property
    def verdict(self) -> Verdict:
        """What the faces so far say of the person."""
        return self._votes.verdict


class People:
    """Assigns each face of a video to a person, and sums up each person.

    Frames are held back until it is certain of each of their faces whether it belongs to a person: about half
    a second. What is held are results, no pictures.
    """

    def __init__(self) -> None:
        self._tracker = Tracker()
        self._held: deque[tuple[Analyzed, list[Track]]] = deque()
        self._known: dict[int, OngoingPerson] = {}
        self._persons: list[OngoingPerson] = []

    def add(self, frame: Analyzed) -> list[OngoingPerson]:
        """Takes the next frame; the return value has the person of each face."""
        tracks = self._tracker.update([one.face.box_xyxy for one in frame.faces], frame.time_s)
        self._held.append((frame, tracks))
        known_faces = []
        for track, result in zip(tracks, frame.faces, strict=True):
            known = self._known.setdefault(id(track), OngoingPerson(track))
            known.add(result, frame.time_s)
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
        """All people so far, in the order in which they were confirmed."""
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
    return replace(frame, faces=faces)


def _track_id(track: Track) -> str | None:
    return None if track.number is None else str(track.number)


def _person(known: OngoingPerson) -> Person:
    verdict = known.verdict
    return Person(
        track_id=str(known.track.number),
        first_s=round(known.track.first_s, 3),
        last_s=round(known.track.last_s, 3),
        faces=known.faces,
        classified=known.classified,
        age_years=verdict.age_years,
        age_interval_years=verdict.age_interval_years,
        gender=verdict.gender,
        gender_confidence=verdict.gender_confidence,
        nets=verdict.nets,
    )
