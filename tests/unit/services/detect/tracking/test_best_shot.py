"""Which faces of a track vote."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender.services.detect.tracking.best_shot import CLEARLY_BETTER, ENOUGH_QUALITY, FIRST_GAP_S, Ballot
from agegender.shared.messages.votes import MAX_VOTES


def vote_on(qualities: list[float], step_s: float = 0.2) -> tuple[Ballot, list[float]]:
    """The ballot after faces of these qualities, `step_s` apart, and when those that voted were seen."""
    ballot = Ballot()
    voted_s: list[float] = []
    for index, quality in enumerate(qualities):
        time_s = 1_700_000_000 + index * step_s
        if ballot.wants(quality, time_s):
            assert ballot.add(quality, time_s) == len(voted_s) + 1
            voted_s.append(round(index * step_s, 3))
    return ballot, voted_s


def test_the_first_usable_face_votes_at_once() -> None:
    assert vote_on([0.1])[1] == [0.0]


def test_the_next_ones_vote_after_gaps_that_grow() -> None:
    _, voted_s = vote_on([0.9] * 60)
    gaps_s = [after - before for before, after in pairwise(voted_s)]
    assert gaps_s[0] == FIRST_GAP_S
    assert gaps_s == sorted(gaps_s)
    assert gaps_s[-1] > 2 * gaps_s[0]


def test_only_a_clearly_better_face_votes_without_waiting() -> None:
    assert vote_on([0.4, 0.4 + CLEARLY_BETTER + 0.01])[1] == [0.0, 0.2]
    assert vote_on([0.4, 0.4 + CLEARLY_BETTER - 0.01])[1] == [0.0]


def test_a_face_no_better_than_the_best_one_waits() -> None:
    assert vote_on([0.9] + [0.2] * 6 + [0.9])[1] == [0.0, 1.0]


def test_no_face_votes_once_enough_quality_was_gathered() -> None:
    ballot, voted_s = vote_on([1.0] * 3_000)
    assert ballot.is_settled
    assert len(voted_s) == ENOUGH_QUALITY
    assert voted_s[-1] < 30
    assert not ballot.wants(1.0, 1e12)


@given(st.lists(st.floats(0.1, 1.0), min_size=1, max_size=300), st.floats(0.01, 1_000))
def test_whatever_comes_one_face_votes_and_never_too_many(qualities: list[float], step_s: float) -> None:
    ballot, voted_s = vote_on(qualities, step_s)
    assert 1 <= len(voted_s) == ballot.votes_sent <= MAX_VOTES
    assert voted_s[0] == 0.0


@pytest.mark.parametrize("rate_hz", [2.0, 5.0, 25.0])
def test_a_short_visit_has_a_vote_early(rate_hz: float) -> None:
    confirmed_s = 2 / rate_hz
    faces = max(1, int((1.5 - confirmed_s) * rate_hz))
    assert vote_on([0.5] * faces, 1 / rate_hz)[1][0] == 0.0


def test_the_last_votes_are_kept_for_better_faces() -> None:
    ballot, _ = vote_on([0.2] * 3_000)
    assert not ballot.wants(0.2, 1e12)
    assert ballot.wants(0.9, 1_700_000_600.1)


def test_no_face_is_so_good_that_it_votes_beyond_the_limit() -> None:
    assert Ballot(MAX_VOTES - 1, quality=1.6, best=0.1).wants(1.0, 0.0)
    assert not Ballot(MAX_VOTES, quality=1.6, best=0.1).wants(1.0, 1e12)
