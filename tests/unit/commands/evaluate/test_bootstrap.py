"""Intervals of means and medians, against formulas and against one another."""

from __future__ import annotations

import numpy as np
import pytest

from agegender.commands.evaluate.bootstrap import LEAST_FACES, Bootstrap, Estimate

VALUES = np.random.default_rng(1).normal(5, 2, 400).tolist()


def _found(estimate: Estimate | None) -> tuple[float, float, float]:
    assert estimate is not None
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low, estimate.value, estimate.high


def test_the_interval_of_a_mean_is_that_of_its_standard_error() -> None:
    low, value, high = _found(Bootstrap(400).mean(VALUES))
    error = np.std(VALUES) / 20
    assert value == pytest.approx(np.mean(VALUES))
    assert (value - low, high - value) == pytest.approx((1.96 * error, 1.96 * error), rel=0.1)


def test_the_mean_of_some_faces_counts_these_alone() -> None:
    chosen = [at % 4 == 0 for at in range(400)]
    low, value, high = _found(Bootstrap(400).mean(VALUES, chosen))
    assert value == pytest.approx(np.mean(VALUES[::4]))
    assert high - low == pytest.approx(2 * 1.96 * np.std(VALUES[::4]) / 10, rel=0.15)


def test_the_median_has_an_interval_of_its_own() -> None:
    low, value, high = _found(Bootstrap(401).median([*VALUES, 5.0]))
    assert value == pytest.approx(np.median([*VALUES, 5.0]))
    assert low < value < high
    assert Bootstrap(3).median([3.0, 1.0, 2.0]) == Estimate(2.0, None, None)


def test_a_paired_difference_leaves_out_what_both_share() -> None:
    other = [value + 0.5 + 0.1 * (at % 3) for at, value in enumerate(VALUES)]
    drawn = Bootstrap(400)
    low, value, high = _found(drawn.difference(other, VALUES))
    assert value == pytest.approx(np.mean(other) - np.mean(VALUES))
    alone = _found(drawn.mean(VALUES))
    assert high - low < (alone[2] - alone[0]) / 10


def test_the_same_faces_give_the_same_interval() -> None:
    assert Bootstrap(400).mean(VALUES) == Bootstrap(400).mean(VALUES)


def test_few_or_equal_faces_have_no_interval() -> None:
    few = Bootstrap(LEAST_FACES - 1).mean(VALUES[: LEAST_FACES - 1])
    assert few is not None
    assert few.low is few.high is few.margin is None
    assert Bootstrap(50).mean([1.0] * 50) == Estimate(1.0, None, None)
    assert Bootstrap(50).mean([1.0] * 50, [False] * 50) is None
    assert Bootstrap(0).mean([]) is Bootstrap(0).median([]) is None


def test_values_for_other_faces_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 3 values"):
        Bootstrap(3).mean([1.0, 2.0])
