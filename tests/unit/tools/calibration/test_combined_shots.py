"""What shots have in common and are worth together, on made-up people whose errors are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tools.calibration.combined_shots import (
    Shots,
    Together,
    age_spread,
    bearable_shares,
    from_wildest,
    gender_spread,
    of_the_best,
    one_each,
    within,
)
from tools.calibration.labelled_faces import Floats

PEOPLE, EACH = 1_500, 5
SHARED_YEARS, OWN_YEARS = 6.0, 4.0
AGE_SHARED = 36 / 52
SHARED_ODDS, OWN_ODDS = 1.5, 1.0
GENDER_SHARED = 2.25 / 3.25


def _shots(quality: Floats | None = None) -> Shots:
    """Normal errors, intervals that hold 80 of 100, and log odds that are honest for one shot."""
    rng = np.random.default_rng(5)
    person = np.repeat(np.arange(PEOPLE), EACH)

    def of_person(values: Floats) -> Floats:
        return values[person]

    low_years = of_person(np.floor(rng.uniform(20, 60, PEOPLE)))
    true_years = low_years + of_person(rng.uniform(0, 1, PEOPLE))
    age_years = (
        true_years + of_person(rng.normal(0, SHARED_YEARS, PEOPLE)) + rng.normal(0, OWN_YEARS, len(person))
    )
    half_width_years = 1.2816 * np.hypot(SHARED_YEARS, OWN_YEARS)
    male = of_person(rng.uniform(size=PEOPLE)) < 0.5
    evidence = of_person(rng.normal(0, SHARED_ODDS, PEOPLE)) + rng.normal(0, OWN_ODDS, len(person))
    variance = SHARED_ODDS**2 + OWN_ODDS**2
    return Shots(
        person=person,
        low_years=low_years,
        end_years=low_years + 1,
        male=male,
        band=np.zeros(len(person), np.int64),
        quality=np.ones(len(person)) if quality is None else quality,
        age_years=age_years,
        from_years=age_years - half_width_years,
        to_years=age_years + half_width_years,
        # Normal around ±1 with this variance: the log odds are twice the evidence over the variance.
        male_log_odds=2 * (evidence + np.where(male, 1, -1)) / variance,
    )


def test_the_share_that_shots_have_in_common_is_found() -> None:
    shots = _shots()
    assert age_spread(shots).within == pytest.approx(OWN_YEARS, rel=0.03)
    assert age_spread(shots).shared == pytest.approx(AGE_SHARED, abs=0.03)
    assert gender_spread(shots).shared == pytest.approx(GENDER_SHARED, abs=0.03)


def test_intervals_narrowed_by_the_true_share_hold_as_often() -> None:
    shots = _shots()
    together = Together.of(shots)
    assert shots.covered(shots.from_years, shots.to_years).mean() == pytest.approx(0.8, abs=0.015)
    assert together.covered(together.from_years, together.to_years).mean() > 0.84
    assert together.covered(*together.narrowed(AGE_SHARED)).mean() == pytest.approx(0.8, abs=0.02)


def test_for_normal_errors_the_best_share_is_the_true_one() -> None:
    age, gender = bearable_shares([_shots()])
    assert age == pytest.approx(AGE_SHARED, abs=0.1)
    assert gender == pytest.approx(GENDER_SHARED, abs=0.15)


def test_one_shot_is_neither_narrowed_nor_believed_more() -> None:
    shots = _shots()
    single = Together.of(shots.where(np.arange(len(shots.person)) % EACH == 0))
    assert single.effective_shots == pytest.approx(np.ones(PEOPLE))
    assert single.narrowed(0.5)[0] == pytest.approx(single.from_years)
    assert single.surer(0.5) == pytest.approx(single.male_log_odds)


def test_shots_count_by_their_quality() -> None:
    quality = np.tile([0.5, 0.5, 0.0, 0.0, 0.0], PEOPLE)
    shots = _shots(quality)
    together = Together.of(shots)
    assert together.effective_shots == pytest.approx(np.full(PEOPLE, 2.0))
    assert together.age_years == pytest.approx(shots.age_years.reshape(-1, EACH)[:, :2].mean(axis=1))


def test_the_best_shots_are_chosen_as_in_the_pipeline() -> None:
    quality = np.tile([0.3, 0.9, 0.3, 0.3, 0.3], PEOPLE)
    shots = _shots(quality)
    half_width_years = np.where(quality > 0.5, 8.0, 20.0)
    shots = replace(
        shots, from_years=shots.age_years - half_width_years, to_years=shots.age_years + half_width_years
    )
    age_years, (from_years, to_years) = of_the_best(shots, 0.95)
    assert age_years == pytest.approx(shots.age_years[1::EACH])
    assert to_years - from_years == pytest.approx(np.full(PEOPLE, 16.0))


def test_people_count_alike_however_often_they_are_seen() -> None:
    assert one_each(np.array([1.0, 1, 1, 5]), np.array([7, 7, 7, 8])) == 3


def test_wild_shots_are_told_from_evenly_spread_ones() -> None:
    person = np.repeat(np.arange(50), 2)
    even: Floats = np.tile([-1.0, 1.0], 50) + person.astype(np.float64)
    assert from_wildest(even, person, 0.1) == pytest.approx(0.1)
    wild = even.copy()
    wild[:2] = (-30, 30)
    assert from_wildest(wild, person, 0.02) == pytest.approx(1800 / 1898)


def test_one_shot_of_each_person_gives_no_shared_part() -> None:
    with pytest.raises(ValueError, match="expected two shots of a person"):
        within(np.array([1.0, 2.0]), np.array([0, 1]))
