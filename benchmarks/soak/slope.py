"""How fast something grows, in spite of outliers, and how sure that is. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

_MOST_BLOCKS = 40
_FEWEST_BLOCKS = 4
_NORMAL_95 = 1.96  # of 100 values of a normal distribution, 95 lie within so many standard deviations


@dataclass(frozen=True, slots=True)
class Slope:
    """Growth in units of the value for each second; in 95 of 100 cases the true one is in `low` to `high`."""

    growth: float
    low: float
    high: float

    def per_hour(self) -> Slope:
        """The same for each hour."""
        return Slope(*(3600 * one for one in (self.growth, self.low, self.high)))


def fitted(times_s: Sequence[float], values: Sequence[float]) -> Slope | None:
    """The median of the slopes between all pairs of points; None for fewer than four points.

    Source: Theil 1950; the interval by Sen, "Estimates of the Regression Coefficient Based on Kendall's Tau",
    1968. Neighbouring samples of one process are alike, which would make the interval too narrow: so the
    points are medians of up to 40 blocks in the order of time.
    """
    blocks = min(_MOST_BLOCKS, len(times_s))
    if blocks < _FEWEST_BLOCKS:
        return None
    order = np.argsort(times_s, kind="stable")
    at_s, points = (
        np.array([np.median(block) for block in np.array_split(np.asarray(column, float)[order], blocks)])
        for column in (times_s, values)
    )
    earlier, later = np.triu_indices(blocks, k=1)
    slopes = np.sort((points[later] - points[earlier]) / (at_s[later] - at_s[earlier]))
    spread = _NORMAL_95 * math.sqrt(blocks * (blocks - 1) * (2 * blocks + 5) / 18)
    first = max(0, math.floor((len(slopes) - spread) / 2))
    return Slope(float(np.median(slopes)), float(slopes[first]), float(slopes[-1 - first]))
