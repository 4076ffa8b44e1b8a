"""Fits by how much to move the ages of a pack, so that no decade of people is read too old or too young.

A head that reads with the least error draws ages to the middle: young people are read too old, old ones too
young. Moving them back makes the bias smaller and the error larger. The shift is the ridge regression of the
biases of all decades on the weights of the knots. A decade counts by how surely its bias is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tools.packs.interval_fit import AGE_KNOTS_YEARS, Answers, Floats, knot_weights

_DECADES = tuple(range(0, 80, 10))
_OPEN_MIDDLE_YEARS = 75.0
_FEWEST_FACES = 5
_TYPICAL_BIAS_YEARS = 1.0
_PULL = 3.0
_LEAST_STRETCH = 0.3
"""Of the distance of two readings, so much is left at least."""


def fit_shift(sets: Sequence[Answers]) -> Sequence[float]:
    """The shift at AGE_KNOTS_YEARS, in years; see `Calibration.age_shift_years`.

    Args:
        sets: the faces of each set as they are, without copies.
    """
    rows, missing = [], []
    for one in sets:
        middle_years = (one.low_years + one.end_years) / 2
        middle_years = np.where(np.isinf(middle_years), _OPEN_MIDDLE_YEARS, middle_years)
        decade = np.clip(middle_years // 10 * 10, 0, _DECADES[-1])
        for start in _DECADES:
            there = decade == start
            if there.sum() < _FEWEST_FACES:
                continue
            off_years = middle_years[there] - one.age_years[there]
            deviation = np.sqrt(off_years.var() / there.sum() + _TYPICAL_BIAS_YEARS**2)
            rows.append(knot_weights(AGE_KNOTS_YEARS, one.age_years[there]).mean(axis=0) / deviation)
            missing.append(off_years.mean() / deviation)
    weights, count = np.array(rows), len(AGE_KNOTS_YEARS)
    steps = np.diff(np.eye(count), axis=0)
    pull = _PULL * (steps.T @ steps + np.eye(count))
    shift = np.linalg.solve(weights.T @ weights + pull, weights.T @ np.array(missing))
    return _in_order(shift)


def _in_order(shift_years: Floats) -> Sequence[float]:
    """The shift, with older readings kept the older ones."""
    moved = np.array(AGE_KNOTS_YEARS) + shift_years
    for index in range(1, len(moved)):
        apart_years = AGE_KNOTS_YEARS[index] - AGE_KNOTS_YEARS[index - 1]
        moved[index] = max(moved[index], moved[index - 1] + _LEAST_STRETCH * apart_years)
    shift: list[float] = np.round(moved - np.array(AGE_KNOTS_YEARS), 2).tolist()
    return shift
