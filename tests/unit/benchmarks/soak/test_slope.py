"""How fast something grows: found through noise, outliers and saw teeth, with an honest interval."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.soak.slope import fitted

TIMES_S = np.arange(0.0, 1800.0, 10.0)


def test_a_line_is_found_exactly() -> None:
    slope = fitted(list(TIMES_S), list(100 + 0.002 * TIMES_S))
    assert slope is not None
    assert slope.per_hour().growth == pytest.approx(7.2)
    assert (slope.low, slope.high) == pytest.approx((0.002, 0.002))


def test_the_order_of_the_points_does_not_matter() -> None:
    order = np.random.default_rng(1).permutation(len(TIMES_S))
    values = 100 + 0.002 * TIMES_S
    assert fitted(list(TIMES_S[order]), list(values[order])) == fitted(list(TIMES_S), list(values))


@pytest.mark.parametrize("mb_an_hour", [0.0, 5.0, 40.0])
def test_growth_is_found_despite_noise_and_garbage_collection(mb_an_hour: float) -> None:
    rng = np.random.default_rng(3)
    values = 200 + mb_an_hour * TIMES_S / 3600 + rng.normal(0, 0.5, len(TIMES_S)) + (TIMES_S % 70) / 50
    values[rng.choice(len(values), 9, replace=False)] += 300
    slope = fitted(list(TIMES_S), list(values))
    assert slope is not None
    assert slope.per_hour().growth == pytest.approx(mb_an_hour, abs=1.5)
    assert slope.per_hour().low <= mb_an_hour <= slope.per_hour().high


def test_the_interval_holds_the_truth_in_most_cases() -> None:
    held = 0
    for seed in range(100):
        values = 100 + 0.001 * TIMES_S + np.random.default_rng(seed).normal(0, 1.0, len(TIMES_S))
        slope = fitted(list(TIMES_S), list(values))
        assert slope is not None
        held += slope.low <= 0.001 <= slope.high
    assert held >= 88


def test_a_shorter_look_is_less_sure() -> None:
    values = list(100 + np.random.default_rng(0).normal(0, 1.0, len(TIMES_S)))
    long, short = fitted(list(TIMES_S), values), fitted(list(TIMES_S[:30]), values[:30])
    assert long is not None
    assert short is not None
    assert short.high - short.low > 3 * (long.high - long.low)


@pytest.mark.parametrize("number", [0, 1, 3])
def test_of_too_few_points_nothing_is_said(number: int) -> None:
    assert fitted([float(one) for one in range(number)], [1.0] * number) is None
