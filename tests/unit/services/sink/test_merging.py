"""Messages of one camera, merged into what is known of it."""

from __future__ import annotations

from collections.abc import Sequence

from agegender.services.sink.merging import CameraSnapshot, MergedCamera, merge, time_out, track_ids_of
from agegender.services.sink.visit_record import VisitRecord
from agegender.shared.messages.pipeline import Result, TrackUpdate
from tests.support.made_messages import frame_info, result, track_summary, track_update, vote

T0 = 1_700_000_000.0


def known_after(messages: Sequence[Result | TrackUpdate], heard_s: float = T0) -> CameraSnapshot:
    """What a store would hold after these messages."""
    records = {change.record.track_id: change.record for change in merge(messages, CameraSnapshot()).visits}
    visits = {name: record.visit for name, record in records.items()}
    return CameraSnapshot(
        records=records,
        visits={name: visit for name, visit in visits.items() if visit is not None},
        heard_s=dict.fromkeys(records, heard_s),
    )


def fields(change: MergedCamera) -> dict[str, int]:
    """The differences in the counts by day."""
    return {
        cell.field: more for cell, more in change.count_differences.items() if cell.hash.startswith("day:")
    }


def test_no_messages_change_nothing() -> None:
    merged = merge([], CameraSnapshot())
    assert not any((merged.visits, merged.newest, merged.late, merged.gone, merged.count_differences))
    assert track_ids_of([]) == []


def test_the_tracks_of_messages_are_listed_once() -> None:
    messages: list[Result | TrackUpdate] = [
        vote("s1-3"),
        track_update(track_summary("s1-1"), track_summary("s1-3")),
        result(),
        track_update(),
    ]
    assert track_ids_of(messages) == ["s1-3", "s1-1"]


def test_a_face_without_a_vote_changes_no_visit() -> None:
    unheard = vote("s1-1").model_copy(update={"face": vote().face.model_copy(update={"vote": None})})
    merged = merge([unheard], CameraSnapshot())
    assert (merged.visits, merged.late) == ([], [False])


def test_a_visit_is_counted_in_all_periods_at_once() -> None:
    moved = merge([track_update(track_summary())], CameraSnapshot()).count_differences
    assert {(cell.hash, cell.field): more for cell, more in moved.items()} == {
        ("minute:2023-11-14T22", "13|unknown|unknown"): 1,
        ("hour:2023-11-14", "22|unknown|unknown"): 1,
        ("day:2023-11", "14|unknown|unknown"): 1,
    }


def test_a_count_moves_only_with_the_answer() -> None:
    known = known_after([track_update(track_summary(votes_sent=3))])
    assert fields(merge([vote(age_years=34.0)], known)) == {"14|unknown|unknown": -1, "14|30-39|female": 1}
    known = known_after([track_update(track_summary(votes_sent=3)), vote(age_years=34.0)])
    assert fields(merge([vote(number=2, age_years=36.0)], known)) == {}
    earlier = track_update(track_summary(first_seen_s=T0 - 86_400))
    assert fields(merge([earlier], known)) == {"14|30-39|female": -1, "13|30-39|female": 1}


def test_a_count_is_removed_from_the_cell_that_has_it() -> None:
    known = known_after([track_update(track_summary(votes_sent=3)), vote(age_years=34.0)])
    once = known.visits["s1-1"].model_copy(update={"age_years": 41.0})
    counted = CameraSnapshot(records=known.records, visits={"s1-1": once})
    moved = fields(merge([vote(number=2, age_years=36.0)], counted))
    assert moved == {"14|40-49|female": -1, "14|30-39|female": 1}


def test_only_newer_messages_become_the_state() -> None:
    stored = CameraSnapshot(state={"from": "track_update", "stream": "s2", "sequence": "7"})
    for stream, sequence, is_newer in (("s2", 8, True), ("s2", 7, False), ("s1", 99, False), ("s3", 0, True)):
        message = track_update(frame=frame_info(stream_id=stream, sequence=sequence))
        assert (merge([message], stored).newest == message) == is_newer
    assert merge([vote("s9-1")], stored).newest is None, "a face says less than a track update"


def test_a_stream_named_by_a_corrected_clock_becomes_the_state() -> None:
    """Ingest was an hour ahead. Its next streams sort before the last one, so the store's clock decides."""
    state = {"from": "track_update", "stream": "0mwsk", "sequence": "7", "written_at_s": repr(T0)}
    message = track_update(frame=frame_info(stream_id="0mwsj"))
    late, soon = (CameraSnapshot(state=state, now_s=T0 + after_s) for after_s in (6.0, 4.0))
    assert merge([message], late).newest == message
    assert merge([message], soon).newest is None, "it may be a message that comes again"
    assert merge([vote("0mwsj-1")], late).newest is None, "a face says less than a track update"
    again = track_update(frame=frame_info(stream_id="0mwsk", sequence=7))
    assert merge([again], late).newest is None, "of the same stream, only later frames are newer"


def test_only_visits_that_are_still_silent_time_out() -> None:
    heard = known_after([track_update(track_summary())], heard_s=T0 + 5)
    assert time_out(["s1-1"], T0 + 4, [], heard).visits == []
    assert [one.record.closed for one in time_out(["s1-1"], T0 + 5, [], heard).visits] == ["timed-out"]
    assert [one.record.closed for one in time_out(["s1-1"], T0, ["s1-1"], heard).visits] == ["timed-out"]


def test_a_visit_closed_in_the_meantime_is_not_closed_again() -> None:
    known = known_after([track_update(track_summary(ended=True)), vote()])
    assert time_out(["s1-1"], T0 + 99, ["s1-1"], known).visits == []


def test_an_open_visit_without_a_record_is_gone() -> None:
    record = VisitRecord(camera_id="cam1", track_id="s1-1")
    assert time_out(["s1-1", "s1-2"], T0, [], CameraSnapshot(records={"s1-1": record})).gone == ["s1-2"]
