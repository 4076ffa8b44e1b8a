"""One visit, put together from its messages."""

from __future__ import annotations

import itertools
import json

import pytest

from agegender.services.sink.stage import SinkStage
from agegender.services.sink.visit_record import VisitRecord
from agegender.shared.messages.visits import Visit
from agegender.shared.messages.votes import MAX_VOTES, Vote
from agegender.shared.runtime.stage import Done
from tests.support.made_messages import result, track_summary, track_update, unclassified_result
from tests.support.made_messages import vote as voting_result

T0 = 1_700_000_000.0
NEW = VisitRecord(camera_id="cam1", track_id="s1-1")


def vote(number: int) -> Vote:
    return Vote.of(voting_result(number=number, age_years=20.0 + number), number)


def visit(record: VisitRecord) -> Visit:
    assert record.visit is not None
    return record.visit


def test_there_is_no_visit_before_the_first_track_summary() -> None:
    assert NEW.voted(vote(1)).visit is None


def test_a_visit_spans_all_its_track_summaries() -> None:
    tracks = [
        track_summary(first_seen_s=T0 + 1, seconds=1, frames=4, votes_sent=0),
        track_summary(first_seen_s=T0, seconds=9, frames=3, votes_sent=2),
        track_summary(first_seen_s=T0 + 2, seconds=2, frames=30, votes_sent=1),
    ]
    for some in itertools.permutations(tracks):
        record = NEW
        for one in some:
            record = record.updated(one, "arrival")
        assert (record.first_seen_s, record.last_seen_s) == (T0, T0 + 9)
        assert (record.frames, record.votes_sent) == (30, 2)


def test_the_summary_with_more_frames_has_the_reason() -> None:
    far, near = (
        track_summary(frames=5, votes_sent=0, unclassified="too-small"),
        track_summary(frames=9, votes_sent=0, unclassified="too-blurred"),
    )
    for first, second in ((far, near), (near, far)):
        record = NEW.updated(first, "arrival").updated(second, "arrival")
        assert visit(record).unclassified == "too-blurred"


def test_the_clock_is_that_of_the_latest_track_summary() -> None:
    early, late = track_summary(frames=5), track_summary(frames=9)
    assert visit(NEW.updated(early, "arrival").updated(late, "camera")).clock == "camera"
    assert visit(NEW.updated(late, "camera").updated(early, "arrival")).clock == "camera"
    end = track_summary(frames=9, ended=True)
    assert visit(NEW.updated(late, "arrival").updated(end, "camera")).clock == "camera"
    assert visit(NEW.updated(end, "camera").updated(late, "arrival")).clock == "camera"


def test_a_visit_has_the_lowest_rate_it_was_counted_at() -> None:
    for rates_hz in itertools.permutations((5.0, 0.8, None, 1.6)):
        record = NEW
        for rate_hz in rates_hz:
            record = record.updated(track_summary(), "arrival", rate_hz)
        assert (visit(record).frame_rate_hz, visit(record).is_unsure) == (0.8, True)
    assert not visit(NEW.updated(track_summary(), "arrival", 1.6)).is_unsure
    assert not visit(NEW.updated(track_summary(), "arrival")).is_unsure


def test_a_vote_counts_once() -> None:
    record = NEW.updated(track_summary(votes_sent=3), "arrival").voted(vote(2)).voted(vote(1)).voted(vote(2))
    assert [one.number for one in record.votes] == [1, 2]
    assert visit(record).faces_classified == 2


def test_votes_beyond_the_limit_are_neither_used_nor_awaited() -> None:
    record = NEW.updated(track_summary(votes_sent=MAX_VOTES + 5, ended=True), "arrival")
    for number in range(MAX_VOTES + 5, 0, -1):
        assert record.closed is None
        record = record.voted(vote(number))
    assert record.closed == "left"
    assert len(record.votes) == MAX_VOTES


def test_it_closes_only_after_its_end_and_with_all_votes() -> None:
    gone, there = track_summary(votes_sent=1, ended=True), track_summary(votes_sent=1)
    assert NEW.updated(gone, "arrival").closed is None
    assert NEW.updated(there, "arrival").voted(vote(1)).closed is None
    assert NEW.updated(gone, "arrival").voted(vote(1)).closed == "left"
    assert NEW.voted(vote(1)).updated(gone, "arrival").closed == "left"
    assert NEW.updated(gone, "arrival").updated(there, "arrival").voted(vote(1)).closed == "left"


@pytest.mark.parametrize("how", ["left", "timed-out"])
def test_a_closed_visit_never_changes(how: str) -> None:
    seen = NEW.updated(track_summary(votes_sent=1, ended=how == "left"), "arrival")
    closed = seen.voted(vote(1)) if how == "left" else seen.timed_out()
    assert closed.closed == how
    assert closed.voted(vote(2)) is closed
    assert closed.updated(track_summary(seconds=99, frames=99), "camera") is closed
    assert closed.timed_out() is closed


def test_a_visit_without_a_usable_face_has_the_reason() -> None:
    waiting = NEW.updated(track_summary(votes_sent=1), "arrival")
    assert visit(waiting).unclassified == "not-yet"
    blurred = Vote.of(unclassified_result(why="too-blurred"), 1)
    assert visit(waiting.voted(blurred)).unclassified == "too-blurred"
    assert visit(waiting.voted(blurred).voted(vote(2))).unclassified is None


def test_the_json_of_an_open_visit_restores_its_record() -> None:
    record = NEW.updated(track_summary(votes_sent=2, ended=True), "camera").voted(vote(1))
    kept = record.to_json(record.visit)
    assert VisitRecord.model_validate_json(kept) == record
    assert Visit.model_validate_json(kept) == visit(record)
    closed = record.voted(vote(2))
    assert set(json.loads(closed.to_json(closed.visit))) <= set(Visit.model_fields)
    assert VisitRecord.model_validate_json(closed.to_json(closed.visit)).closed == "left"


def test_the_stage_passes_everything_on() -> None:
    given = (result(), track_update(track_summary()), track_update())
    assert SinkStage().process(given) == [Done((message,)) for message in given]
