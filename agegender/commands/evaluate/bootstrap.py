"""Bootstrap intervals: what a mean or a median would be for other people of the same kind. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1_000
LEAST_FACES = 10
"""With fewer faces there is no interval: their resamples say too little."""

_ENDS = (0.025, 0.975)
_DRAWN_AT_ONCE = 1_000_000
_SEED = 0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure and the interval that holds it in 95 of 100 resamples of the faces."""

    value: float
    low: float | None
    """None where the faces are too few, or all alike."""
    high: float | None

    @property
    def margin(self) -> float | None:
        """Half of the width of the interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


class Bootstrap:
    """Resamples of N faces: how often each face is drawn in each. The same N gives the same resamples.

    The ends of an interval are percentiles of the resamples (B. Efron, "Bootstrap methods: another look at
    the jackknife", Annals of Statistics 7(1), 1979).
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._drawn: NDArray[np.uint16] | None = None

    def mean(self, values: Sequence[float], chosen: Sequence[bool] | None = None) -> Estimate | None:
        """The mean over all faces, or over the chosen ones; None if there is none.

        Args:
            values: (N,), anything where a face is not chosen.
            chosen: (N,). A resample holds more or fewer of these, as other people would.
        """
        valued, counts = self._checked(values, chosen)
        if not counts.any():
            return None
        mean = float(valued.sum() / counts.sum())
        return self._estimate(mean, self._means(valued, counts), valued[counts > 0])

    def difference(
        self, of: Sequence[float], to: Sequence[float], chosen: Sequence[bool] | None = None
    ) -> Estimate | None:
        """The mean of `of` less that of `to`, (N,) each, face by face; None if no face is chosen."""
        return self.mean(np.subtract(np.asarray(of, float), np.asarray(to, float)).tolist(), chosen)

    def median(self, values: Sequence[float]) -> Estimate | None:
        """The median; None without faces. Of an even number it is the lower one of the middle two."""
        if not self._count:
            return None
        valued, _ = self._checked(values, None)
        order = np.argsort(valued, kind="stable")
        ranked = valued[order]
        middle = (self._count + 1) // 2
        medians = [
            ranked[np.argmax(np.cumsum(drawn[:, order], axis=1, dtype=np.int64) >= middle, axis=1)]
            for drawn in self._parts()
        ]
        return self._estimate(float(ranked[middle - 1]), np.concatenate([*medians, []]), valued)

    def _checked(self, values: Sequence[float], chosen: Sequence[bool] | None) -> tuple[Floats, Floats]:
        """The values, 0 where a face is not chosen, and 1 for each chosen face."""
        counts = np.ones(self._count) if chosen is None else np.asarray(chosen, np.float64)
        given = np.asarray(values, np.float64)
        if given.shape != (self._count,) or counts.shape != (self._count,):
            raise ValueError(f"expected {self._count} values, got {given.shape} and {counts.shape}")
        return np.where(counts > 0, given, 0.0), counts

    def _means(self, valued: Floats, counts: Floats) -> Floats:
        """The mean in each resample that holds a chosen face."""
        both = np.stack([valued, counts], axis=1)
        parts = [drawn.astype(np.float64) @ both for drawn in self._parts()]
        sums = np.concatenate([*parts, np.empty((0, 2))])
        sums = sums[sums[:, 1] > 0]
        return np.asarray(sums[:, 0] / sums[:, 1])

    def _parts(self) -> Sequence[NDArray[np.uint16]]:
        """The resamples in parts, so that sums over them stay small; none for few faces."""
        if self._count < LEAST_FACES:
            return []
        if self._drawn is None:
            rng = np.random.default_rng(_SEED)
            rows = (rng.integers(0, self._count, self._count) for _ in range(RESAMPLES))
            times = [np.bincount(row, minlength=self._count).astype(np.uint16) for row in rows]
            self._drawn = np.stack(times)
        rows_at_once = max(1, _DRAWN_AT_ONCE // self._count)
        return [self._drawn[at : at + rows_at_once] for at in range(0, RESAMPLES, rows_at_once)]

    def _estimate(self, value: float, resampled: Floats, values: Floats) -> Estimate:
        if len(values) < LEAST_FACES or not np.ptp(values):
            return Estimate(value, None, None)
        low, high = (float(end) for end in np.quantile(resampled, _ENDS))
        return Estimate(value, low, high)
