"""Merges messages of one camera into what is known of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from agegender.services.sink.visit_record import Visit
from agegender.shared.messages.pipeline import FrameInfo, Presence, Result
from agegender.shared.messages.visits import Person
from agegender.shared.messages.votes import Vote
from agegender.shared.store.counts import Cell, cells


@dataclass(frozen=True, slots=True)
class Known:
    """What the store holds of a camera, as far as it matters to some messages."""

    state: Mapping[str, str] = field(default_factory=dict)
    """The fields of the hash `state`."""
    visits: Mapping[str, Visit] = field(default_factory=dict)
    """By person."""
    persons: Mapping[str, Person] = field(default_factory=dict)
    """The same as they were counted; those without a sighting are not among them."""
    heard_s: Mapping[str, float] = field(default_factory=dict)
    """When the open ones among them were last heard of."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one visit."""

    visit: Visit
    person: Person | None
    """The visit as others see it from now on."""
    counted: Person | None
    """The same as it was counted before; None where it was not."""

    @classmethod
    def of(cls, visit: Visit, known: Known) -> Change:
        """The change that makes of what is known this visit."""
        return cls(visit, visit.person, known.persons.get(visit.person_id))


@dataclass(frozen=True, slots=True)
class Merged:
    """What becomes of a camera."""

    changes: Sequence[Change] = ()
    """The visits that were heard of and were open so far."""
    newest: Result | Presence | None = None
    """What shows the newest frame, where that is newer than the one in the store."""
    late: Sequence[bool] = ()
    """For each result, whether it has a vote and came when its visit was closed."""
    gone: Sequence[str] = ()
    """Persons that are listed as open and of whom nothing is left."""

    @property
    def moved(self) -> Mapping[Cell, int]:
        """How many persons more or less each cell counts."""
        moved: Counter[Cell] = Counter()
        for change in self.changes:
            moved.subtract(cells(change.counted) if change.counted is not None else ())
            moved.update(cells(change.person) if change.person is not None else ())
        return {cell: persons for cell, persons in moved.items() if persons}


Merge = Callable[[Known], Merged]


def people(messages: Iterable[Result | Presence]) -> Sequence[str]:
    """The ids of all whom the messages are about, each once."""
    found: dict[str, None] = {}
    for message in messages:
        if isinstance(message, Presence):
            found.update(dict.fromkeys(sighting.track_id for sighting in message.info.sightings))
        elif message.face.track_id is not None and message.face.vote is not None:
            found[message.face.track_id] = None
    return list(found)


def merge(messages: Sequence[Result | Presence], known: Known) -> Merged:
    """Adds the messages of one camera, in their order, to what is known of it."""
    visits = dict(known.visits)
    late: list[bool] = []
    for message in messages:
        if isinstance(message, Presence):
            _see(message, visits)
        else:
            late.append(not _hear(message, visits))
    was_closed = {name for name, visit in known.visits.items() if visit.closed is not None}
    newest = max(messages, key=newness, default=None)
    return Merged(
        changes=[Change.of(visit, known) for name, visit in visits.items() if name not in was_closed],
        newest=newest if newest is not None and newness(newest) > _stored_newness(known.state) else None,
        late=late,
    )


def silence(names: Collection[str], until_s: float, surplus: Collection[str], known: Known) -> Merged:
    """Closes those of `names` last heard of at `until_s` or before, and those of `surplus` in any case."""
    silent = [
        visit.silenced()
        for name, visit in known.visits.items()
        if visit.closed is None and (name in surplus or known.heard_s.get(name, until_s) <= until_s)
    ]
    return Merged(
        changes=[Change.of(visit, known) for visit in silent],
        gone=[name for name in names if name not in known.visits],
    )


def newness(message: Result | Presence) -> tuple[bool, str, int]:
    """Orders messages by what they say of their camera's state, the newest last.

    Streams are named by the time they began, so a later stream sorts after an earlier one. A presence says
    more than a single face, which counts only where there are no presences: with single pictures.
    """
    frame = frame_of(message)
    return isinstance(message, Presence), frame.stream_id, frame.sequence


def frame_of(message: Result | Presence) -> FrameInfo:
    """The frame that the message is about."""
    return message.info.frame if isinstance(message, Presence) else message.face.frame


def _stored_newness(state: Mapping[str, str]) -> tuple[bool, str, int]:
    return state.get("from") == "presence", state.get("stream", ""), int(state.get("sequence", "-1"))


def _see(presence: Presence, visits: dict[str, Visit]) -> None:
    for sighting in presence.info.sightings:
        visit = visits.get(sighting.track_id) or Visit(
            camera_id=presence.camera_id, person_id=sighting.track_id
        )
        visits[sighting.track_id] = visit.sighted(sighting, presence.info.frame.clock)


def _hear(result: Result, visits: dict[str, Visit]) -> bool:
    """Adds the vote of a result that has one; False when its visit is closed."""
    name, number = result.face.track_id, result.face.vote
    if name is None or number is None:
        return True
    visit = visits.get(name) or Visit(camera_id=result.camera_id, person_id=name)
    visits[name] = visit.voted(Vote.of(result, number))
    return visit.closed is None
