"""Fits the tables of `services/classify/calibration.py` to faces of known age and gender.

A label that gives an interval of years stands for a person drawn evenly from it. Each cell of a table is
fitted to the faces near its age and quality, weighed by a normal curve, so that neighbouring cells share most
of their faces and no cell rests on a handful.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agegender.services.classify.calibration import CalibrationTables
from tools.calibration.labelled_faces import Chosen, Floats, LabelledFaces

AGE_KNOTS_YEARS = (2.0, 8.0, 15.0, 25.0, 40.0, 55.0, 68.0)
QUALITY_KNOTS = (0.1, 0.4, 0.7, 1.0)
UNKNOWN_BELOW = 0.7

# How far the faces that a cell is fitted to may lie from it: the deviation of the normal curve.
_AGE_REACH_YEARS = np.array([3.0, 4.0, 5.0, 7.0, 8.0, 8.0, 8.0])
_QUALITY_REACH = 0.2
_DRAWS = 10
_SCALES = np.geomspace(0.05, 1.5, 120)
# Pulls the scale of a cell towards that of all faces, as strongly as this many faces would.
_SCALE_PULL = 10.0


@dataclass(frozen=True)
class Readings(LabelledFaces):
    """Faces with what the nets read, (N,) each; the person is the picture that they are copies of."""

    copy: NDArray[np.int64]
    """Which of the copies of it; 0 is the picture as it is."""
    height_px: Floats
    score: Floats
    """The detector's."""
    turn: Floats
    """See `agegender.services.detect.faces.quality.turn`."""
    quality: Floats
    age_years: Floats
    male_logit: Floats

    @property
    def original(self) -> Chosen:
        """Which are pictures as they are."""
        return np.asarray(self.copy == 0)


def fit(faces: Readings, tail: float) -> CalibrationTables:
    """The tables with intervals that leave out the share `tail` of these faces' ages on either side.

    Years are rounded to tenths, scales to hundredths.
    """
    shares = (np.arange(_DRAWS) + 0.5) / _DRAWS
    span_years = (faces.drawn_end_years - faces.low_years)[:, np.newaxis]
    off_years = (
        faces.low_years[:, np.newaxis] + span_years * shares - faces.age_years[:, np.newaxis]
    ).ravel()
    shape = (len(AGE_KNOTS_YEARS), len(QUALITY_KNOTS))
    low_years, high_years, scale = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    overall = _best_scale(faces, np.ones(len(faces.age_years)), None)
    for row, (age_years, reach_years) in enumerate(zip(AGE_KNOTS_YEARS, _AGE_REACH_YEARS, strict=True)):
        for column, quality in enumerate(QUALITY_KNOTS):
            away = ((faces.age_years - age_years) / reach_years) ** 2
            away += ((faces.quality - quality) / _QUALITY_REACH) ** 2
            weights = np.exp(-away / 2)
            drawn = np.repeat(weights, _DRAWS)
            low_years[row, column] = _quantile(off_years, drawn, tail)
            high_years[row, column] = _quantile(off_years, drawn, 1 - tail)
            scale[row, column] = _best_scale(faces, weights, overall)
    low_years, high_years = _in_order(low_years, high_years)
    return CalibrationTables.model_validate(
        {
            "interval_low_years": np.round(low_years, 1).tolist(),
            "interval_high_years": np.round(high_years, 1).tolist(),
            "gender_scale": np.round(scale, 2).tolist(),
        }
    )


def _in_order(low_years: Floats, high_years: Floats) -> tuple[Floats, Floats]:
    """Intervals that hold the age read, never grow with quality, and never move down as the age goes up."""
    knots = np.array(AGE_KNOTS_YEARS)[:, np.newaxis]
    low_years = np.maximum.accumulate(np.minimum(low_years, 0.0), axis=1)
    high_years = np.minimum.accumulate(np.maximum(high_years, 0.0), axis=1)
    low_years = np.maximum.accumulate(knots + low_years, axis=0) - knots
    high_years = np.maximum.accumulate(knots + high_years, axis=0) - knots
    return np.minimum(low_years, 0.0), high_years


def _quantile(values: Floats, weights: Floats, share: float) -> float:
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, share * reached[-1])])


def _best_scale(faces: Readings, weights: Floats, overall: float | None) -> float:
    """The factor under which the logits explain the genders best, in the sense of likelihood."""
    signed = np.where(faces.male, faces.male_logit, -faces.male_logit)
    losses = np.array([np.sum(weights * np.logaddexp(0, -scale * signed)) for scale in _SCALES])
    if overall is not None:
        losses += _SCALE_PULL * np.log(_SCALES / overall) ** 2
    return float(_SCALES[np.argmin(losses)])
