"""The fit behind the calibration, on made-up people whose errors are known."""

from __future__ import annotations

import numpy as np
import pytest

from tools.calibration.check import honest_tail
from tools.calibration.fit import AGE_KNOTS_YEARS, Readings, fit


def _people(count: int, deviation_years: float, overconfidence: float) -> Readings:
    rng = np.random.default_rng(11)
    true_years = rng.uniform(0, 80, count)
    evidence = rng.normal(0, 2, count)
    return Readings(
        person=np.arange(count),
        copy=np.zeros(count, np.int64),
        low_years=np.floor(true_years),
        end_years=np.floor(true_years) + 1,
        male=rng.uniform(size=count) < 1 / (1 + np.exp(-evidence)),
        height_px=np.full(count, 100.0),
        score=np.full(count, 0.9),
        turn=np.full(count, 0.9),
        quality=rng.uniform(0.1, 1, count),
        age_years=np.clip(true_years + rng.normal(0, deviation_years, count), 0, None),
        male_logit=evidence * overconfidence,
    )


def test_intervals_are_as_wide_as_the_errors_ask_for() -> None:
    tables = fit(_people(3_000, 5.0, 1.0), tail=0.1)
    row = AGE_KNOTS_YEARS.index(40.0)
    # Of normal errors, 80 % lie within 1.28 deviations.
    for low_years, high_years in zip(
        tables.interval_low_years[row], tables.interval_high_years[row], strict=True
    ):
        assert low_years == pytest.approx(-6.4, abs=1.2)
        assert high_years == pytest.approx(6.4, abs=1.2)


def test_overconfident_nets_are_scaled_down() -> None:
    scales = np.array(fit(_people(3_000, 5.0, 3.0), tail=0.1).gender_scale)
    assert scales == pytest.approx(np.full(scales.shape, 1 / 3), abs=0.08)


def test_few_people_give_a_cautious_tail() -> None:
    tail = honest_tail(_people(120, 8.0, 1.0))
    assert 0.02 < tail <= 0.1
