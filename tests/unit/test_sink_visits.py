"""One visit, put together from what came of it."""

from __future__ import annotations

import itertools
import json

import pytest

from agegender.services.sink.stage import SinkStage
from agegender.services.sink.visit_record import Visit
from agegender.shared.messages.visits import Person
from agegender.shared.messages.votes import MAX_VOTES, Vote
from agegender.shared.runtime.stage import Done
from tests.support.made_messages import presence, result, sighting, unjudged_result
from tests.support.made_messages import vote as voting_result

T0 = 1_700_000_000.0
NEW = Visit(camera_id="cam1", person_id="s1-1")


def vote(number: int) -> Vote:
    return Vote.of(voting_result(number=number, age_years=20.0 + number), number)


def person(visit: Visit) -> Person:
    assert visit.person is not None
    return visit.person


def test_there_is_nobody_before_the_first_sighting() -> None:
    assert NEW.voted(vote(1)).person is None


def test_the_widest_of_all_sightings_is_what_was_seen() -> None:
    sightings = [
        sighting(first_seen_s=T0 + 1, seconds=1, frames=4, votes=0),
        sighting(first_seen_s=T0, seconds=9, frames=3, votes=2),
        sighting(first_seen_s=T0 + 2, seconds=2, frames=30, votes=1),
    ]
    for some in itertools.permutations(sightings):
        visit = NEW
        for one in some:
            visit = visit.sighted(one, "arrival")
        assert (visit.first_seen_s, visit.last_seen_s) == (T0, T0 + 9)
        assert (visit.frames, visit.announced) == (30, 2)


def test_of_two_sightings_the_one_with_more_frames_says_why_nobody_was_judged() -> None:
    far, near = (
        sighting(frames=5, votes=0, unjudged="too-small"),
        sighting(frames=9, votes=0, unjudged="too-blurred"),
    )
    for first, second in ((far, near), (near, far)):
        visit = NEW.sighted(first, "arrival").sighted(second, "arrival")
        assert person(visit).unjudged == "too-blurred"


def test_the_times_are_by_the_clock_of_the_latest_sighting() -> None:
    early, late = sighting(frames=5), sighting(frames=9)
    assert person(NEW.sighted(early, "arrival").sighted(late, "camera")).clock == "camera"
    assert person(NEW.sighted(late, "camera").sighted(early, "arrival")).clock == "camera"
    end = sighting(frames=9, ended=True)
    assert person(NEW.sighted(late, "arrival").sighted(end, "camera")).clock == "camera"
    assert person(NEW.sighted(end, "camera").sighted(late, "arrival")).clock == "camera"


def test_a_vote_counts_once() -> None:
    visit = NEW.sighted(sighting(votes=3), "arrival").voted(vote(2)).voted(vote(1)).voted(vote(2))
    assert [one.number for one in visit.votes] == [1, 2]
    assert person(visit).faces_judged == 2


def test_votes_beyond_the_most_are_neither_taken_nor_waited_for() -> None:
    visit = NEW.sighted(sighting(votes=MAX_VOTES + 5, ended=True), "arrival")
    for number in range(MAX_VOTES + 5, 0, -1):
        assert visit.closed is None
        visit = visit.voted(vote(number))
    assert visit.closed == "left"
    assert len(visit.votes) == MAX_VOTES


def test_it_is_closed_only_when_it_ended_and_its_votes_are_in() -> None:
    gone, there = sighting(votes=1, ended=True), sighting(votes=1)
    assert NEW.sighted(gone, "arrival").closed is None
    assert NEW.sighted(there, "arrival").voted(vote(1)).closed is None
    assert NEW.sighted(gone, "arrival").voted(vote(1)).closed == "left"
    assert NEW.voted(vote(1)).sighted(gone, "arrival").closed == "left"
    assert NEW.sighted(gone, "arrival").sighted(there, "arrival").voted(vote(1)).closed == "left"


@pytest.mark.parametrize("how", ["left", "silent"])
def test_a_closed_visit_never_changes(how: str) -> None:
    seen = NEW.sighted(sighting(votes=1, ended=how == "left"), "arrival")
    closed = seen.voted(vote(1)) if how == "left" else seen.silenced()
    assert closed.closed == how
    assert closed.voted(vote(2)) is closed
    assert closed.sighted(sighting(seconds=99, frames=99), "camera") is closed
    assert closed.silenced() is closed


def test_a_person_whose_faces_were_all_too_poor_for_the_nets_says_why() -> None:
    waiting = NEW.sighted(sighting(votes=1), "arrival")
    assert person(waiting).unjudged == "not-yet"
    blurred = Vote.of(unjudged_result(why="too-blurred"), 1)
    assert person(waiting.voted(blurred)).unjudged == "too-blurred"
    assert person(waiting.voted(blurred).voted(vote(2))).unjudged is None


def test_what_is_kept_of_a_visit_is_a_person_and_what_is_needed_to_go_on() -> None:
    visit = NEW.sighted(sighting(votes=2, ended=True), "camera").voted(vote(1))
    kept = visit.to_json(visit.person)
    assert Visit.model_validate_json(kept) == visit
    assert Person.model_validate_json(kept) == person(visit)
    closed = visit.voted(vote(2))
    assert set(json.loads(closed.to_json(closed.person))) <= set(Person.model_fields)
    assert Visit.model_validate_json(closed.to_json(closed.person)).closed == "left"


def test_the_stage_passes_everything_on() -> None:
    given = (result(), presence(sighting()), presence())
    assert SinkStage().process(given) == [Done((message,)) for message in given]
