"""Merges the messages of one camera into what Redis holds of it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from agegender.services.sink.newest_frame import NewestFrame
from agegender.services.sink.visit_record import VisitRecord
from agegender.shared.messages.pipeline import CameraNotice, FrameInfo, Result, TrackUpdate
from agegender.shared.messages.visits import Visit
from agegender.shared.messages.votes import Vote
from agegender.shared.store.answers import NOTICE_LASTS_S
from agegender.shared.store.counts import CountCell, count_cells


@dataclass(frozen=True, slots=True)
class CameraSnapshot:
    """What the store holds of a camera, as far as the messages at hand concern it. Keys are track ids."""

    state: Mapping[str, str] = field(default_factory=dict)
    """The fields of the hash `state`."""
    records: Mapping[str, VisitRecord] = field(default_factory=dict)
    visits: Mapping[str, Visit] = field(default_factory=dict)
    """The same visits as they are counted now; those without a track summary are missing."""
    heard_s: Mapping[str, float] = field(default_factory=dict)
    """When the latest message about each open visit came."""
    now_s: float = 0.0
    """The time of the reading, by the store's clock."""


@dataclass(frozen=True, slots=True)
class VisitChange:
    """One visit to write, and how it is counted so far."""

    record: VisitRecord
    visit: Visit | None
    """The visit as readers see it from now on."""
    counted: Visit | None
    """The visit as it is counted now; None if it is not."""

    @classmethod
    def of(cls, record: VisitRecord, known: CameraSnapshot) -> VisitChange:
        """The change from what is known to `record`."""
        return cls(record, record.visit, known.visits.get(record.track_id))


@dataclass(frozen=True, slots=True)
class MergedCamera:
    """What to write of one camera."""

    visits: Sequence[VisitChange] = ()
    """The visits that messages are about and that were open before."""
    newest: Result | TrackUpdate | None = None
    """The message with the newest frame, if it is newer than the one in the store."""
    notice: CameraNotice | None = None
    """The newest notice, if it is newer than the one in the store."""
    late: Sequence[bool] = ()
    """For each result: it has a vote, and came after its visit was closed."""
    gone: Sequence[str] = ()
    """Track ids that are listed as open but have no record any more."""

    @property
    def count_differences(self) -> Mapping[CountCell, int]:
        """How much to add to each count; never 0."""
        differences: Counter[CountCell] = Counter()
        for change in self.visits:
            differences.subtract(count_cells(change.counted) if change.counted is not None else ())
            differences.update(count_cells(change.visit) if change.visit is not None else ())
        return {cell: difference for cell, difference in differences.items() if difference}


AboutCamera = Result | TrackUpdate | CameraNotice
"""The messages that change what the store holds of a camera; a preview has a key of its own."""

Merge = Callable[[CameraSnapshot], MergedCamera]


def track_ids_of(messages: Iterable[AboutCamera]) -> Sequence[str]:
    """The ids of the tracks that the messages are about, each once."""
    found: dict[str, None] = {}
    for message in messages:
        if isinstance(message, TrackUpdate):
            found.update(dict.fromkeys(summary.track_id for summary in message.info.tracks))
        elif isinstance(message, Result):
            face = message.face
            if face.track_id is not None and face.vote is not None:
                found[face.track_id] = None
    return list(found)


def merge(messages: Sequence[AboutCamera], known: CameraSnapshot) -> MergedCamera:
    """Adds the messages of one camera, in their order, to what is known of it."""
    records = dict(known.records)
    late: list[bool] = []
    for message in messages:
        if isinstance(message, TrackUpdate):
            _add_update(message, records)
        elif isinstance(message, Result):
            late.append(not _add_result(message, records))
    was_closed = {name for name, record in known.records.items() if record.closed is not None}
    frames = [one for one in messages if not isinstance(one, CameraNotice)]
    newest = max(frames, key=newness, default=None)
    notices = [one for one in messages if isinstance(one, CameraNotice)]
    notice = max(notices, key=lambda one: one.noticed_at_s, default=None)
    return MergedCamera(
        visits=[VisitChange.of(record, known) for name, record in records.items() if name not in was_closed],
        newest=newest if newest is not None and _is_news(newest, known) else None,
        notice=notice if notice is not None and _is_new_notice(notice, known) else None,
        late=late,
    )


def time_out(
    track_ids: Collection[str], until_s: float, surplus: Collection[str], known: CameraSnapshot
) -> MergedCamera:
    """Closes visits without a message since `until_s`, and those of `surplus` in any case."""
    timed_out = [
        record.timed_out()
        for name, record in known.records.items()
        if record.closed is None and (name in surplus or known.heard_s.get(name, until_s) <= until_s)
    ]
    return MergedCamera(
        visits=[VisitChange.of(record, known) for record in timed_out],
        gone=[name for name in track_ids if name not in known.records],
    )


def newness(message: Result | TrackUpdate) -> tuple[bool, str, int]:
    """Orders the messages of a batch by their news about the camera's state, the newest last.

    Streams are named by the time they began, so a later stream sorts after an earlier one. A track update
    outweighs a result. Results set the state only where there are no track updates: with single pictures.
    """
    frame = frame_of(message)
    return isinstance(message, TrackUpdate), frame.stream_id, frame.sequence


def frame_of(message: Result | TrackUpdate) -> FrameInfo:
    """The frame that the message is about."""
    return message.info.frame if isinstance(message, TrackUpdate) else message.face.frame


def _is_news(message: Result | TrackUpdate, known: CameraSnapshot) -> bool:
    """Whether the message has news about the state that is stored."""
    state, is_update = known.state, isinstance(message, TrackUpdate)
    has_update = state.get("from") == "track_update"
    if is_update != has_update:
        return is_update
    stored = NewestFrame(
        state.get("stream", ""), int(state.get("sequence", "-1")), float(state.get("written_at_s", "0"))
    )
    return stored.is_before(frame_of(message), known.now_s)


def _is_new_notice(notice: CameraNotice, known: CameraSnapshot) -> bool:
    """Whether the notice is newer than the stored one, or that one is so old that a clock was set back."""
    stored_s = float(known.state.get("notice_at_s", "-1"))
    written_s = float(known.state.get("notice_written_at_s", "-1"))
    return notice.noticed_at_s > stored_s or known.now_s - written_s > NOTICE_LASTS_S


def _add_update(update: TrackUpdate, records: dict[str, VisitRecord]) -> None:
    for summary in update.info.tracks:
        record = records.get(summary.track_id) or VisitRecord(
            camera_id=update.camera_id, track_id=summary.track_id
        )
        records[summary.track_id] = record.updated(
            summary, update.info.frame.clock, update.info.frame_rate_hz
        )


def _add_result(result: Result, records: dict[str, VisitRecord]) -> bool:
    """Adds the vote of the result, if it has one. False when the visit is closed already."""
    name, number = result.face.track_id, result.face.vote
    if name is None or number is None:
        return True
    record = records.get(name) or VisitRecord(camera_id=result.camera_id, track_id=name)
    records[name] = record.voted(Vote.of(result, number))
    return record.closed is None
