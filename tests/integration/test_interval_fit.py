"""The fit behind the calibrations, on made-up people whose errors are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agegender.services.classify.calibration import Calibration
from tools.packs.age_shift import fit_shift
from tools.packs.interval_fit import AGE_KNOTS_YEARS, COVERAGE, Answers, fit

LOGISTIC_WIDTH = 2 * np.log((1 + COVERAGE) / (1 - COVERAGE))
"""How wide the middle COVERAGE of a logistic curve is, in its scales."""


ERROR_YEARS = 4.0
UNMOVED = (0.0,) * len(AGE_KNOTS_YEARS)


def _people(
    span_years: float,
    *,
    overconfidence: float = 1.0,
    turned_wider: float = 1.0,
    expects_errors: bool = False,
) -> Answers:
    rng = np.random.default_rng(11)
    count = 4_000
    age_years = rng.uniform(15, 60, count)
    turn = rng.uniform(0, 1, count)
    scale_years = 3.0 * (1 + (turned_wider - 1) * turn)
    error_years = np.full(count, ERROR_YEARS)
    if expects_errors:
        error_years = rng.choice([ERROR_YEARS, 2 * ERROR_YEARS], count)
        scale_years *= error_years / ERROR_YEARS
    true_years = age_years + rng.logistic(2.0, scale_years)
    low_years = np.floor(true_years / span_years) * span_years
    evidence = rng.normal(0, 2, count)
    return Answers(
        age_years=age_years,
        male_logit=evidence * overconfidence,
        quality=rng.uniform(0.1, 1, count),
        turn=turn,
        error_years=error_years,
        low_years=low_years,
        end_years=low_years + span_years,
        male=rng.uniform(size=count) < 1 / (1 + np.exp(-evidence)),
        weight=np.ones(count),
        copied=np.zeros(count, np.bool_),
    )


def _width_years(calibration: Calibration, turn: float, error_years: float = ERROR_YEARS) -> float:
    low_years, high_years = calibration.classify(40, 0, error_years, 0.7, turn).interval_years
    return high_years - low_years


@pytest.mark.parametrize("span_years", [1.0, 10.0])
def test_a_wide_label_asks_for_no_wider_interval(span_years: float) -> None:
    calibration = fit(_people(span_years), "made-up", UNMOVED)
    assert _width_years(calibration, 0.0) == pytest.approx(3.0 * LOGISTIC_WIDTH, rel=0.12)
    low_years, high_years = calibration.classify(40, 0, ERROR_YEARS, 0.7, 0.0).interval_years
    assert (low_years + high_years) / 2 == pytest.approx(42, abs=1.2)


def test_turned_faces_get_the_width_that_they_need() -> None:
    calibration = fit(_people(1.0, turned_wider=2.0), "made-up", UNMOVED)
    assert _width_years(calibration, 1.0) / _width_years(calibration, 0.0) == pytest.approx(2, abs=0.3)


def test_faces_with_larger_expected_errors_get_wider_intervals() -> None:
    calibration = fit(_people(1.0, expects_errors=True), "made-up", UNMOVED)
    wider = _width_years(calibration, 0.0, 2 * ERROR_YEARS) / _width_years(calibration, 0.0)
    assert wider == pytest.approx(2, abs=0.25)


def test_ages_are_moved_towards_the_truth_of_their_decade() -> None:
    people = _people(1.0)
    shrunk = replace(people, age_years=38 + 0.7 * (people.age_years - 38))
    shift_years = fit_shift([shrunk])
    at_25, at_55 = (shift_years[AGE_KNOTS_YEARS.index(age)] for age in (25.0, 55.0))
    assert at_25 < -1
    assert at_55 > 2


def test_overconfident_nets_are_scaled_down() -> None:
    calibration = fit(_people(10.0, overconfidence=3.0), "made-up", UNMOVED)
    male = calibration.classify(40, 3.0, ERROR_YEARS, 0.7, 0.0).male_probability
    assert np.log(male / (1 - male)) == pytest.approx(1, abs=0.2)
