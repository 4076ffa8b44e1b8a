"""Merges messages of one camera into what is known of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from agegender.services.sink.visit_record import VisitRecord
from agegender.shared.messages.pipeline import FrameInfo, Result, TrackUpdate
from agegender.shared.messages.visits import Visit
from agegender.shared.messages.votes import Vote
from agegender.shared.store.counts import Cell, cells


@dataclass(frozen=True, slots=True)
class Known:
    """What the store holds of a camera, as far as it matters to some messages."""

    state: Mapping[str, str] = field(default_factory=dict)
    """The fields of the hash `state`."""
    records: Mapping[str, VisitRecord] = field(default_factory=dict)
    """By person."""
    visits: Mapping[str, Visit] = field(default_factory=dict)
    """The same as they were counted; those without a track summary are not among them."""
    heard_s: Mapping[str, float] = field(default_factory=dict)
    """When the open ones among them were last heard of."""


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one visit."""

    record: VisitRecord
    visit: Visit | None
    """The visit as others see it from now on."""
    counted: Visit | None
    """The same as it was counted before; None where it was not."""

    @classmethod
    def of(cls, record: VisitRecord, known: Known) -> Change:
        """The change that makes of what is known this visit."""
        return cls(record, record.visit, known.visits.get(record.track_id))


@dataclass(frozen=True, slots=True)
class Merged:
    """What becomes of a camera."""

    changes: Sequence[Change] = ()
    """The visits that were heard of and were open so far."""
    newest: Result | TrackUpdate | None = None
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
            moved.update(cells(change.visit) if change.visit is not None else ())
        return {cell: visits for cell, visits in moved.items() if visits}


Merge = Callable[[Known], Merged]


def people(messages: Iterable[Result | TrackUpdate]) -> Sequence[str]:
    """The ids of all whom the messages are about, each once."""
    found: dict[str, None] = {}
    for message in messages:
        if isinstance(message, TrackUpdate):
            found.update(dict.fromkeys(summary.track_id for summary in message.info.tracks))
        elif message.face.track_id is not None and message.face.vote is not None:
            found[message.face.track_id] = None
    return list(found)


def merge(messages: Sequence[Result | TrackUpdate], known: Known) -> Merged:
    """Adds the messages of one camera, in their order, to what is known of it."""
    records = dict(known.records)
    late: list[bool] = []
    for message in messages:
        if isinstance(message, TrackUpdate):
            _see(message, records)
        else:
            late.append(not _hear(message, records))
    was_closed = {name for name, record in known.records.items() if record.closed is not None}
    newest = max(messages, key=newness, default=None)
    return Merged(
        changes=[Change.of(record, known) for name, record in records.items() if name not in was_closed],
        newest=newest if newest is not None and newness(newest) > _stored_newness(known.state) else None,
        late=late,
    )


def silence(names: Collection[str], until_s: float, surplus: Collection[str], known: Known) -> Merged:
    """Closes those of `names` last heard of at `until_s` or before, and those of `surplus` in any case."""
    silent = [
        record.timed_out()
        for name, record in known.records.items()
        if record.closed is None and (name in surplus or known.heard_s.get(name, until_s) <= until_s)
    ]
    return Merged(
        changes=[Change.of(record, known) for record in silent],
        gone=[name for name in names if name not in known.records],
    )


def newness(message: Result | TrackUpdate) -> tuple[bool, str, int]:
    """Orders messages by what they say of their camera's state, the newest last.

    Streams are named by the time they began, so a later stream sorts after an earlier one. A track update says
    more than a single face, which counts only where there are no track updates: with single pictures.
    """
    frame = frame_of(message)
    return isinstance(message, TrackUpdate), frame.stream_id, frame.sequence


def frame_of(message: Result | TrackUpdate) -> FrameInfo:
    """The frame that the message is about."""
    return message.info.frame if isinstance(message, TrackUpdate) else message.face.frame


def _stored_newness(state: Mapping[str, str]) -> tuple[bool, str, int]:
    return state.get("from") == "track_update", state.get("stream", ""), int(state.get("sequence", "-1"))


def _see(update: TrackUpdate, records: dict[str, VisitRecord]) -> None:
    for summary in update.info.tracks:
        record = records.get(summary.track_id) or VisitRecord(
            camera_id=update.camera_id, track_id=summary.track_id
        )
        records[summary.track_id] = record.updated(summary, update.info.frame.clock)


def _hear(result: Result, records: dict[str, VisitRecord]) -> bool:
    """Adds the vote of a result that has one; False when its visit is closed."""
    name, number = result.face.track_id, result.face.vote
    if name is None or number is None:
        return True
    record = records.get(name) or VisitRecord(camera_id=result.camera_id, track_id=name)
    records[name] = record.voted(Vote.of(result, number))
    return record.closed is None
