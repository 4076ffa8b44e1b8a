"""The votes of a person: from the whole visit, and the same at any number of frames a second."""

from __future__ import annotations

from random import Random

import pytest

from agegender.analysis.spread_votes import MOST_SLOTS, SpreadVotes
from agegender.shared.messages.votes import Verdict, Vote
from tests.support.made_messages import unclassified_result


def vote(age_years: float, quality: float = 1.0, male: float = 0.2) -> Vote:
    between = (age_years - 8, age_years + 8)
    return Vote(
        number=1, quality=quality, age_years=age_years, age_interval_years=between, male_probability=male
    )


def filmed(seconds: float, fps: float) -> Verdict:
    """A person who is read at 40 in the first quarter of the visit, and at 30 after it."""
    votes = SpreadVotes()
    for number in range(round(seconds * fps)):
        time_s = number / fps
        votes.add(vote(40.0 if time_s < seconds / 4 else 30.0), time_s)
    return votes.verdict


@pytest.mark.parametrize("seconds", [4, 20, 90, 1_000])
@pytest.mark.parametrize("fps", [2, 5, 30])
def test_each_part_of_a_visit_has_its_say(seconds: float, fps: float) -> None:
    assert filmed(seconds, fps).age_years == pytest.approx(32.5, abs=1.3)


@pytest.mark.parametrize("seconds", [3, 30, 300])
def test_more_frames_a_second_change_no_answer(seconds: float) -> None:
    few, many = filmed(seconds, 5), filmed(seconds, 25)
    assert many == few


def test_the_order_in_which_frames_come_changes_nothing() -> None:
    frames = [(vote(20 + number % 30, 0.5 + number % 3 / 10), number / 7) for number in range(2_000)]
    shuffled = frames.copy()
    Random(1).shuffle(shuffled)  # noqa: S311
    one, other = SpreadVotes(), SpreadVotes()
    for (face, time_s), (another, other_s) in zip(frames, shuffled, strict=True):
        one.add(face, time_s)
        other.add(another, other_s)
    assert one.verdict == other.verdict


def test_the_best_face_of_a_moment_votes() -> None:
    votes = SpreadVotes()
    for time_s, quality, age_years in ((0.0, 0.4, 60.0), (0.05, 0.9, 30.0), (0.1, 0.2, 70.0)):
        votes.add(vote(age_years, quality), time_s)
    votes.add(Vote.of(unclassified_result(), 4), 5.0)
    assert votes.verdict.age_years == 30.0


def test_memory_stays_bounded() -> None:
    votes = SpreadVotes()
    for number in range(5_000):
        votes.add(vote(30.0), number / 5)
        assert votes.verdict.faces_classified <= MOST_SLOTS if number % 500 == 0 else True
    assert MOST_SLOTS / 2 <= votes.verdict.faces_classified <= MOST_SLOTS
