"""One visit, put together from what came of it."""

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


def test_there_is_nobody_before_the_first_sighting() -> None:
    assert NEW.voted(vote(1)).visit is None


def test_the_widest_of_all_sightings_is_what_was_seen() -> None:
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


def test_of_two_sightings_the_one_with_more_frames_says_why_nobody_was_judged() -> None:
    far, near = (
        track_summary(frames=5, votes_sent=0, unclassified="too-small"),
        track_summary(frames=9, votes_sent=0, unclassified="too-blurred"),
    )
    for first, second in ((far, near), (near, far)):
        record = NEW.updated(first, "arrival").updated(second, "arrival")
        assert visit(record).unclassified == "too-blurred"


def test_the_times_are_by_the_clock_of_the_latest_sighting() -> None:
    early, late = track_summary(frames=5), track_summary(frames=9)
    assert visit(NEW.updated(early, "arrival").updated(late, "camera")).clock == "camera"
    assert visit(NEW.updated(late, "camera").updated(early, "arrival")).clock == "camera"
    end = track_summary(frames=9, ended=True)
    assert visit(NEW.updated(late, "arrival").updated(end, "camera")).clock == "camera"
    assert visit(NEW.updated(end, "camera").updated(late, "arrival")).clock == "camera"


def test_a_vote_counts_once() -> None:
    record = NEW.updated(track_summary(votes_sent=3), "arrival").voted(vote(2)).voted(vote(1)).voted(vote(2))
    assert [one.number for one in record.votes] == [1, 2]
    assert visit(record).faces_classified == 2


def test_votes_beyond_the_most_are_neither_taken_nor_waited_for() -> None:
    record = NEW.updated(track_summary(votes_sent=MAX_VOTES + 5, ended=True), "arrival")
    for number in range(MAX_VOTES + 5, 0, -1):
        assert record.closed is None
        record = record.voted(vote(number))
    assert record.closed == "left"
    assert len(record.votes) == MAX_VOTES


def test_it_is_closed_only_when_it_ended_and_its_votes_are_in() -> None:
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


def test_a_person_whose_faces_were_all_too_poor_for_the_nets_says_why() -> None:
    waiting = NEW.updated(track_summary(votes_sent=1), "arrival")
    assert visit(waiting).unclassified == "not-yet"
    blurred = Vote.of(unclassified_result(why="too-blurred"), 1)
    assert visit(waiting.voted(blurred)).unclassified == "too-blurred"
    assert visit(waiting.voted(blurred).voted(vote(2))).unclassified is None


def test_what_is_kept_of_a_visit_is_a_person_and_what_is_needed_to_go_on() -> None:
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
