"""Calibration: turns what the nets read into an age interval and a gender probability that hold.

The numbers are measured. `tools/packs/calibrate.py` makes them for each pack from labelled faces, and from
smaller or blurred copies of these, and stores them beside the weights. `docs/models.md` says how well they
hold.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agegender.shared.errors import AgeGenderError
from agegender.shared.messages.pipeline import Gender
from agegender.shared.models import PackName, calibration_file, load_manifest

OLDEST_YEARS = 120.0
"""The net's age is an unbounded regression; it is limited to 0 to this."""

Knots = Annotated[tuple[float, ...], Field(min_length=2)]
Grid = Annotated[tuple[Knots, ...], Field(min_length=2)]
"""Values at the knots: one row for each age, one column for each quality."""


class CalibrationError(AgeGenderError):
    """The stored calibration cannot be read, or was made for other nets."""


class Classification(NamedTuple):
    """The calibrated answer for one face."""

    age_years: float
    interval_years: tuple[float, float]
    """Holds the true age in 80 of 100 cases, and always `age_years`."""
    gender: Gender
    gender_confidence: float
    """Probability of `gender`; for `unknown`, of the likelier of the two."""
    male_probability: float


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Calibration(_Frozen):
    """The corrections at their knots, and the pack they were measured on.

    Between knots the values are linear, and beyond the outermost they stay the same.
    """

    pack: str
    """The measured pack, by its name in results."""
    age_knots_years: Knots
    quality_knots: Knots
    turn_knots: Knots
    error_knots_years: Knots
    age_shift_years: Knots
    """Added to the age as read, by age, before everything else."""
    unknown_below: Annotated[float, Field(ge=0.5, lt=1)]
    """A gender with a lower probability than this is `unknown`."""
    interval_low_years: Grid
    """Added to the age for the lower end of the interval; 0 or less."""
    interval_high_years: Grid
    """Added to the age for the upper end of the interval; 0 or more."""
    interval_turn: Knots
    """Multiplies both, by turn; 1 or more."""
    interval_error: Knots
    """Multiplies both, by the expected error of the age; 1 or more."""
    gender_scale: Grid
    """Multiplies the logit of the gender; less than 1 where the nets are overconfident."""
    gender_turn: Knots
    """Multiplies it too, by turn; 1 or less."""
    gender_error: Knots
    """Multiplies it too, by the expected error of the age; 1 or less."""

    @model_validator(mode="after")
    def _values_match_the_knots(self) -> Self:
        for knots in (self.age_knots_years, self.quality_knots, self.turn_knots, self.error_knots_years):
            if any(one >= other for one, other in pairwise(knots)):
                raise ValueError(f"expected knots in increasing order, got {knots}")
        for name in ("interval_low_years", "interval_high_years", "gender_scale"):
            widths = [len(row) for row in getattr(self, name)]
            if widths != [len(self.quality_knots)] * len(self.age_knots_years):
                raise ValueError(
                    f"{name}: expected {len(self.age_knots_years)} rows of {len(self.quality_knots)} numbers"
                )
        for name, knots in (
            ("interval_turn", self.turn_knots),
            ("gender_turn", self.turn_knots),
            ("interval_error", self.error_knots_years),
            ("gender_error", self.error_knots_years),
            ("age_shift_years", self.age_knots_years),
        ):
            if len(getattr(self, name)) != len(knots):
                raise ValueError(f"{name}: expected {len(knots)} numbers")
        shifted = [age + shift for age, shift in zip(self.age_knots_years, self.age_shift_years, strict=True)]
        if any(one >= other for one, other in pairwise(shifted)):
            raise ValueError("age_shift_years: expected an older reading to stay the older one")
        return self

    def classify(
        self, age_years: float, male_logit: float, error_years: float, quality: float | None, turn: float
    ) -> Classification:
        """The calibrated answer for one face.

        Args:
            age_years: as the pack reads it.
            male_logit: the same.
            error_years: how far off the age is expected to be, by the same pack.
            quality: of the face, 0 to 1. None counts as the lowest.
            turn: how far the face is turned away; see `agegender.shared.images.pose.turn`.
        """
        shift_years = _value(self.age_shift_years, _knot_weights(self.age_knots_years, age_years))
        age_years = min(max(age_years + shift_years, 0.0), OLDEST_YEARS)
        by_age = _knot_weights(self.age_knots_years, age_years)
        by_quality = _knot_weights(self.quality_knots, self.quality_knots[0] if quality is None else quality)
        by_turn = _knot_weights(self.turn_knots, turn)
        by_error = _knot_weights(self.error_knots_years, error_years)
        cells = np.outer(by_age, by_quality)
        wider = _value(self.interval_turn, by_turn) * _value(self.interval_error, by_error)
        scale = _value(self.gender_scale, cells)
        scale *= _value(self.gender_turn, by_turn) * _value(self.gender_error, by_error)
        male = _sigmoid(scale * male_logit)
        low_years = max(age_years + min(wider * _value(self.interval_low_years, cells), 0.0), 0.0)
        high_years = age_years + max(wider * _value(self.interval_high_years, cells), 0.0)
        confidence = max(male, 1.0 - male)
        gender: Gender = "male" if male >= 0.5 else "female"
        return Classification(
            age_years,
            (low_years, min(high_years, OLDEST_YEARS)),
            gender if confidence >= self.unknown_below else "unknown",
            confidence,
            male,
        )


def load_calibration(pack: PackName) -> Calibration:
    """The calibration stored beside the weights of `pack`.

    Raises:
        CalibrationError: it cannot be read, or was made for another pack.
        WeightsError: its file is missing, or differs from the one in the manifest.
    """
    expected = load_manifest().packs[pack].name
    try:
        calibration = Calibration.model_validate_json(calibration_file(pack).read_bytes())
    except ValidationError as error:
        raise CalibrationError(f"the calibration of the nets cannot be read: {error}") from error
    if calibration.pack != expected:
        raise CalibrationError(
            f"the calibration was made for the nets {calibration.pack!r}, and these are {expected!r}: "
            "run `python -m tools.packs.calibrate` in a checkout"
        )
    return calibration


def _value(values: Grid | Knots, weights: NDArray[np.float64]) -> float:
    return float(np.sum(np.array(values) * weights))


def _knot_weights(knots: Knots, value: float) -> NDArray[np.float64]:
    """The weight of each knot: at most two have one."""
    return np.array([np.interp(value, knots, row) for row in np.eye(len(knots))])


def _sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit)), computed with tanh, which cannot overflow."""
    return (math.tanh(logit / 2) + 1) / 2
