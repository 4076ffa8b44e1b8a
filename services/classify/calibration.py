"""Calibration: turns what the nets read into an age interval and a gender probability that hold.

The numbers are measured. `tools/calibration/calibrate.py` makes them from labelled faces, and from smaller or
blurred copies of these, and stores them beside the weights. `docs/models.md` says how well they hold.
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
from agegender.shared.models import calibration_file

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


class CalibrationTables(_Frozen):
    """The corrections, each a grid over `age_knots_years` and `quality_knots`."""

    interval_low_years: Grid
    """Added to the age for the lower end of the interval; 0 or less."""
    interval_high_years: Grid
    """Added to the age for the upper end of the interval; 0 or more."""
    gender_scale: Grid
    """Multiplies the logit of the gender; less than 1 where the nets are overconfident."""


class CalibrationSource(_Frozen):
    """The faces that the tables were made from."""

    tool: str
    dataset: str
    part: str
    labels_sha256: str | None
    """None when the labels are in the names of the files."""
    faces: int
    """The number of pictures with a face."""
    copies: int
    """The number of faces classified, smaller and blurred copies included."""


class Calibration(_Frozen):
    """The tables with their knots, and the nets they were measured on."""

    origin: CalibrationSource
    nets: str
    """The measured nets, by their name in the manifest."""
    age_knots_years: Knots
    quality_knots: Knots
    unknown_below: Annotated[float, Field(ge=0.5, lt=1)]
    """A gender with a lower probability than this is `unknown`."""
    flip_augmentation: dict[bool, CalibrationTables]
    """The tables without and with flip augmentation."""

    @model_validator(mode="after")
    def _tables_match_the_knots(self) -> Self:
        for knots in (self.age_knots_years, self.quality_knots):
            if any(one >= other for one, other in pairwise(knots)):
                raise ValueError(f"expected knots in increasing order, got {knots}")
        shape = [len(self.quality_knots)] * len(self.age_knots_years)
        for tables in self.flip_augmentation.values():
            for name, grid in tables:
                if [len(row) for row in grid] != shape:
                    raise ValueError(f"{name}: expected {len(shape)} rows of {shape[0]} numbers")
        return self

    def classify(
        self, age_years: float, male_logit: float, quality: float | None, *, flip_augmentation: bool
    ) -> Classification:
        """The calibrated answer for one face.

        Args:
            age_years: as the nets read it, with or without `flip_augmentation`.
            male_logit: the same.
            quality: of the face, 0 to 1. None counts as the lowest.
            flip_augmentation: whether the readings are means over the face and its mirror image.
        """
        age_years = min(max(age_years, 0.0), OLDEST_YEARS)
        tables = self.flip_augmentation[flip_augmentation]
        weights = self._weights(age_years, self.quality_knots[0] if quality is None else quality)
        low_years = max(age_years + min(_value(tables.interval_low_years, weights), 0.0), 0.0)
        high_years = min(age_years + max(_value(tables.interval_high_years, weights), 0.0), OLDEST_YEARS)
        male = _sigmoid(_value(tables.gender_scale, weights) * male_logit)
        confidence = max(male, 1.0 - male)
        gender: Gender = "male" if male >= 0.5 else "female"
        return Classification(
            age_years,
            (low_years, high_years),
            gender if confidence >= self.unknown_below else "unknown",
            confidence,
            male,
        )

    def _weights(self, age_years: float, quality: float) -> NDArray[np.float64]:
        """The weight of each cell of a grid, (ages, qualities). At most four cells have one."""
        return np.outer(
            _knot_weights(self.age_knots_years, age_years), _knot_weights(self.quality_knots, quality)
        )


def load_calibration(nets: str) -> Calibration:
    """The calibration stored beside the weights.

    Raises:
        CalibrationError: it cannot be read, or was made for other nets than `nets`.
        WeightsError: its file is missing, or differs from the one in the manifest.
    """
    try:
        calibration = Calibration.model_validate_json(calibration_file().read_bytes())
    except ValidationError as error:
        raise CalibrationError(f"the calibration of the nets cannot be read: {error}") from error
    if calibration.nets != nets:
        raise CalibrationError(
            f"the calibration was made for the nets {calibration.nets!r}, and these are {nets!r}: "
            "run `python -m tools.calibration.calibrate DATASET --write` in a checkout"
        )
    return calibration


def _value(grid: Grid, weights: NDArray[np.float64]) -> float:
    return float(np.sum(np.array(grid) * weights))


def _knot_weights(knots: Knots, value: float) -> NDArray[np.float64]:
    """The weight of each knot: linear between two knots, the outermost knot alone beyond them."""
    return np.array([np.interp(value, knots, row) for row in np.eye(len(knots))])


def _sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit)), computed with tanh, which cannot overflow."""
    return (math.tanh(logit / 2) + 1) / 2
