"""Age and gender of a person from several votes."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender.shared.messages.votes import SHARED_ERROR, Verdict, Vote, VoteSum, verdict
from agegender.shared.models import gender_threshold
from tests.support.made_messages import face_info, result, unclassified_result


def vote(
    number: int = 1,
    age_years: float = 30.0,
    *,
    quality: float = 0.8,
    between: tuple[float, float] | None = (22.0, 40.0),
    male: float = 0.2,
) -> Vote:
    return Vote(
        number=number, quality=quality, age_years=age_years, age_interval_years=between, male_probability=male
    )


_VOTES = st.lists(
    st.builds(
        lambda age, below, above, quality, male: (age, (max(age - below, 0), age + above), quality, male),
        st.floats(0, 100),
        st.floats(0, 20),
        st.floats(0, 20),
        st.floats(0, 1),
        st.floats(0, 1),
    ),
    min_size=1,
    max_size=16,
).map(
    lambda found: [
        vote(number, age, quality=quality, between=between, male=male)
        for number, (age, between, quality, male) in enumerate(found, 1)
    ]
)


def test_nobody_says_nothing() -> None:
    assert verdict([]) == Verdict()
    unclassified = Vote.of(unclassified_result(), 1)
    assert verdict([unclassified]) == Verdict(faces_classified=0, gender="unknown", gender_confidence=0.5)


def test_one_face_keeps_its_own_numbers() -> None:
    assert verdict([vote(male=0.2)]) == Verdict(
        faces_classified=1,
        age_years=30.0,
        age_interval_years=(22.0, 40.0),
        gender="female",
        gender_confidence=0.8,
        male_probability=0.2,
    )


def test_the_nets_of_the_classified_faces_are_named() -> None:
    one, other = Vote.of(result(), 1), Vote.of(result().model_copy(update={"nets": "nets-0"}), 2)
    unclassified = Vote.of(unclassified_result().model_copy(update={"nets": "nets-9"}), 3)
    assert verdict([one, unclassified]).nets == "nets-1"
    assert verdict([one, other, unclassified]).nets == "nets-0, nets-1"
    assert verdict([unclassified]).nets is None


def test_the_better_face_counts_more() -> None:
    found = verdict([vote(1, 20.0, quality=0.9), vote(2, 50.0, quality=0.3)])
    assert found.age_years == 27.5
    assert verdict([vote(1, 20.0, quality=0.0), vote(2, 50.0, quality=0.0)]).age_years == 35.0


@pytest.mark.parametrize("faces", [1, 2, 4, 16, 10_000])
def test_equal_faces_narrow_the_interval_by_independent_errors(faces: int) -> None:
    tally = VoteSum()
    for number in range(1, faces + 1):
        tally.add(vote(number, 50.0, between=(0.0, 100.0)))
    half = 50 * math.sqrt(SHARED_ERROR + (1 - SHARED_ERROR) / faces)
    assert tally.verdict().age_interval_years == pytest.approx((50 - half, 50 + half), abs=0.1)


def test_a_poor_face_beside_a_good_one_narrows_next_to_nothing() -> None:
    good, poor = vote(1, between=(20.0, 40.0), quality=1.0), vote(2, between=(20.0, 40.0), quality=0.0)
    low, high = verdict([good, poor]).age_interval_years or (0.0, 0.0)
    assert low < 20.2
    assert high > 39.8


def width_years(votes: list[Vote]) -> float:
    low_years, high_years = verdict(votes).age_interval_years or (0.0, math.inf)
    return high_years - low_years


def test_a_poor_face_does_not_widen_the_interval() -> None:
    good = vote(1, 30.0, quality=1.0, between=(20.0, 40.0))
    poor = [vote(number, 34.0, quality=0.3, between=(14.0, 53.0)) for number in range(2, 9)]
    assert width_years([good]) == 20.0
    for number in range(1, 8):
        assert 19.4 < width_years([good, *poor[:number]]) <= 20.0
    # The good look may as well be the last one.
    assert width_years(poor[:1]) == 39.0
    assert width_years([vote(9, 30.0, quality=1.0, between=(20.0, 40.0)), *poor]) <= 20.0


def grown_up(one: Vote) -> Vote:
    """Votes of a person between 30 and 80, so that no interval is cut off at 0."""
    age_years, (low_years, high_years) = one.age_years or 0.0, one.age_interval_years or (0.0, 0.0)
    older_years = 30.0 + age_years / 2
    between = older_years - (age_years - low_years), older_years + (high_years - age_years)
    return one.model_copy(update={"age_years": older_years, "age_interval_years": between})


@given(_VOTES)
def test_poorer_faces_never_lower_the_certainty(votes: list[Vote]) -> None:
    falling = sorted(map(grown_up, votes), key=lambda one: (-max(one.quality, 0.05), one.number))
    weights = [max(one.quality, 0.05) for one in falling]
    ends = [at for at, (one, next_one) in enumerate(pairwise([*weights, -1.0]), start=1) if one != next_one]
    widths_years = [width_years(falling[:end]) for end in ends]
    for before_years, after_years in pairwise(widths_years):
        assert after_years <= before_years + 0.21, "but for the tenths of its two ends"


def test_of_equally_good_faces_none_is_left_out() -> None:
    narrow, wide = vote(1, 30.0, between=(29.0, 31.0)), vote(2, 50.0, between=(30.0, 70.0))
    assert verdict([narrow, wide]).age_years == 40.0
    slightly_poorer = wide.model_copy(update={"quality": 0.79})
    assert verdict([narrow, slightly_poorer]).age_years == 30.0


def test_an_interval_that_one_face_lacks_is_not_made_up() -> None:
    assert verdict([vote(1), vote(2, between=None)]).age_interval_years is None


def test_the_gender_follows_the_mean_log_odds_of_all_faces() -> None:
    left = SHARED_ERROR + (1 - SHARED_ERROR) / 2
    assert verdict([vote(1, male=0.9), vote(2, male=0.9)]).male_probability == pytest.approx(
        1 / (1 + (1 / 9) ** (1 / left)), abs=1e-4
    )
    assert verdict([vote(1, male=0.9), vote(2, male=0.1)]).gender_confidence == 0.5
    # Two faces that lean one way outvote one that is surer of the other, where the odds say so.
    three = verdict([vote(1, male=0.8), vote(2, male=0.8), vote(3, male=0.1)])
    assert three.male_probability == pytest.approx(
        1 / (1 + (1 / 4 * 1 / 4 * 9) ** (1 / 3 / (SHARED_ERROR + (1 - SHARED_ERROR) / 3))), abs=1e-4
    )


def test_a_gender_below_the_threshold_is_unknown() -> None:
    least = gender_threshold()
    assert verdict([vote(male=least)]).gender == "male"
    assert verdict([vote(male=least - 0.001)]).gender == "unknown"
    assert verdict([vote(male=1 - least)]).gender == "female"
    assert verdict([vote(male=1 - least + 0.001)]).gender == "unknown"


def test_no_single_face_is_certain() -> None:
    doubted = [vote(1, male=1.0), *(vote(number, male=0.1) for number in range(2, 6))]
    assert verdict(doubted).gender == "unknown"


def test_faces_that_were_not_judged_change_nothing() -> None:
    assert verdict([vote(1), Vote.of(unclassified_result(), 2)]) == verdict([vote(1)])


@given(_VOTES, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(votes: list[Vote], chance: Random) -> None:
    shuffled = votes.copy()
    chance.shuffle(shuffled)
    assert verdict(shuffled) == verdict(votes)


@given(_VOTES)
def test_the_interval_always_holds_the_age_and_never_grows(votes: list[Vote]) -> None:
    found = verdict(votes)
    assert found.age_years is not None
    assert found.age_interval_years is not None
    low_years, high_years = found.age_interval_years
    assert 0 <= low_years <= found.age_years <= high_years
    widest = max(high - low for low, high in (v.age_interval_years or (0, 0) for v in votes))
    assert high_years - low_years <= widest + 0.11


@given(_VOTES)
def test_the_confidence_is_that_of_the_likelier_gender(votes: list[Vote]) -> None:
    found = verdict(votes)
    assert found.male_probability is not None
    assert found.gender_confidence == max(found.male_probability, round(1 - found.male_probability, 4))
    assert (found.gender == "unknown") == (found.gender_confidence < gender_threshold())


def test_a_result_votes_with_its_quality_or_else_with_its_score() -> None:
    assert Vote.of(result(), 3).quality == 0.9
    measured = face_info().model_copy(update={"quality": 0.25})
    assert Vote.of(result(measured), 3).quality == 0.25
    assert Vote.of(result(measured), 3).number == 3


@pytest.mark.parametrize(("gender", "male"), [("female", 0.25), ("male", 0.75), ("unknown", 0.5)])
def test_a_result_without_a_probability_votes_by_its_confidence(gender: str, male: float) -> None:
    assert Vote.of(result(gender=gender), 1).male_probability == male  # type: ignore[arg-type]
