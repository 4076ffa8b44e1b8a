"""How well a calibration holds on people that it was not made from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from agegender.services.classify.calibration import (
    Calibration,
    CalibrationSource,
    CalibrationTables,
    Classification,
)
from tools.calibration.fit import AGE_KNOTS_YEARS, QUALITY_KNOTS, UNKNOWN_BELOW, Readings, fit
from tools.calibration.labelled_faces import halves

COVERAGE = 0.8
_FOLDS = 5
_AGE_BANDS_YEARS = ((0, 10), (10, 20), (20, 35), (35, 50), (50, 65), (65, 120))
_SIZE_BANDS_PX = ((24, 32), (32, 48), (48, 64), (64, 96), (96, 10_000))
_NAMED_FROM = (0.6, UNKNOWN_BELOW, 0.8)
_SURENESS = ((0.5, 0.6), (0.6, 0.7), (0.7, 0.8), (0.8, 0.9), (0.9, 0.95), (0.95, 1.01))


def honest_tail(faces: Readings) -> float:
    """The largest share left out on either side with which the intervals cover COVERAGE of people not seen.

    Raises:
        ValueError: no share does.
    """
    folds = [faces.person // 2 % _FOLDS == fold for fold in range(_FOLDS)]
    for tail in np.arange(0.1, 0.02, -0.005):
        shares = []
        for fold in folds:
            other = faces.where(fold & faces.original)
            shares.append(np.mean(_holds(other, _classified(fit(faces.where(~fold), tail), other))))
        if np.mean(shares) >= COVERAGE:
            return float(tail)
    raise ValueError("no interval covers 80 % of people it was not fitted to: expected more faces")


def held_out(faces: Readings) -> Iterator[str]:
    """Lines that say how the intervals and the genders hold on the halves that they were not fitted to."""
    originals, copies = [], []
    for half in halves(faces.person):
        first, other = faces.where(half), faces.where(~half)
        classified = _classified(fit(first, honest_tail(first)), other)
        holds = _holds(other, classified)
        right = np.array([(one.male_probability >= 0.5) for one in classified]) == other.male
        sure = np.array([one.gender_confidence for one in classified])
        width = np.array([np.ptp(one.interval_years) for one in classified])
        columns = np.column_stack([other.age_years, other.height_px, holds, width, right, sure])
        copies.append(columns)
        originals.append(columns[other.original])
    each = [float(one[:, 2].mean()) for one in originals]
    together, worse = np.concatenate(originals), np.concatenate(copies)
    yield f"interval: covers {np.mean(each):.1%}, {min(each):.1%} to {max(each):.1%} by half"
    yield from _lines(together, 0, _AGE_BANDS_YEARS, "years read")
    yield from _lines(worse, 1, _SIZE_BANDS_PX, "px high, copies included")
    yield f"gender: {together[:, 4].mean():.1%} right"
    for least in _NAMED_FROM:
        named = together[:, 5] >= least
        yield (
            f"  under {least:.0%} sure {1 - named.mean():.1%}, of these {together[~named, 4].mean():.1%} "
            f"right; of the others {together[named, 4].mean():.1%}"
        )
    for low, end in _SURENESS:
        there = (together[:, 5] >= low) & (together[:, 5] < end)
        if there.any():
            sure, right = together[there, 5].mean(), together[there, 4].mean()
            yield f"  {low:.0%} to {min(end, 1):.0%} sure, {sure:.1%} on average: {right:.1%} right"


def _lines(
    columns: NDArray[np.float64], column: int, bands: Sequence[tuple[int, int]], unit: str
) -> Iterator[str]:
    for low, end in bands:
        there = columns[(columns[:, column] >= low) & (columns[:, column] < end)]
        if len(there):
            covers, width_years = there[:, 2].mean(), there[:, 3].mean()
            yield f"  {low:>3} to {end} {unit}: covers {covers:.1%}, {width_years:.1f} years wide"


def _classified(tables: CalibrationTables, faces: Readings) -> Sequence[Classification]:
    calibration = Calibration(
        origin=CalibrationSource(tool="", dataset="", part="", labels_sha256=None, faces=0, copies=0),
        nets="",
        age_knots_years=AGE_KNOTS_YEARS,
        quality_knots=QUALITY_KNOTS,
        unknown_below=UNKNOWN_BELOW,
        flip_augmentation={True: tables},
    )
    read = zip(faces.age_years, faces.male_logit, faces.quality, strict=True)
    return [
        calibration.classify(float(age), float(logit), float(quality), flip_augmentation=True)
        for age, logit, quality in read
    ]


def _holds(faces: Readings, classified: Sequence[Classification]) -> NDArray[np.float64]:
    from_years, to_years = np.array([one.interval_years for one in classified]).T
    return faces.covered(from_years, to_years)
