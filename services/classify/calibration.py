"""What the readings of the nets are worth: an interval around the age, an honest probability of the gender.

The numbers are measured: `tools/calibrate.py` makes them from labelled faces and from copies of them that are
smaller and blurred, and stores them beside the weights. `docs/models.md` says how well they hold.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from agegender.services.classify.flip_augmentation import Views
from agegender.shared.errors import AgeGenderError
from agegender.shared.messages.pipeline import Gender
from agegender.shared.models import calibration_file

OLDEST_YEARS = 120.0
"""The net's age is a regression without bounds; what it reads beyond 0 to this is cut off."""

Row = Annotated[tuple[float, ...], Field(min_length=2)]
Table = Annotated[tuple[Row, ...], Field(min_length=2)]


class CalibrationError(AgeGenderError):
    """The stored calibration is missing, damaged or made for something else."""


class Classification(NamedTuple):
    """One face, classified."""

    age_years: float
    interval_years: tuple[float, float]
    """Holds the true age in 80 of 100 cases, and always `age_years`."""
    gender: Gender
    gender_confidence: float
    """Probability of `gender`; for `unknown`, of the likelier of the two."""
    male_probability: float


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Tables(_Frozen):
    """One row for each age of `age_knots_years`, one column for each quality of `quality_knots`."""

    interval_low_years: Table
    """What to add to the age read, 0 or less, for the lower end of the interval."""
    interval_high_years: Table
    """The same for the upper end, 0 or more."""
    gender_scale: Table
    """What to multiply the logit of the gender by: under 1 where the nets promise more than they keep."""


class Origin(_Frozen):
    """The faces that the tables were made from."""

    tool: str
    dataset: str
    part: str
    labels_sha256: str | None
    """None where the labels stand in the names of the files."""
    faces: int
    """Pictures in which a face was found."""
    copies: int
    """Faces classified altogether, with their smaller and blurred copies."""


class Calibration(_Frozen):
    """The readings of the nets, put right."""

    origin: Origin
    nets: str
    """The nets that were measured, by the name in the manifest."""
    age_knots_years: Row
    quality_knots: Row
    unknown_below: Annotated[float, Field(ge=0.5, lt=1)]
    """A gender that is less likely than this is not named."""
    views: dict[Views, Tables]

    @model_validator(mode="after")
    def _fits_its_knots(self) -> Self:
        for knots in (self.age_knots_years, self.quality_knots):
            if any(one >= other for one, other in pairwise(knots)):
                raise ValueError(f"expected knots that grow, got {knots}")
        shape = [len(self.quality_knots)] * len(self.age_knots_years)
        for tables in self.views.values():
            for name, table in tables:
                if [len(row) for row in table] != shape:
                    raise ValueError(f"{name}: expected {len(shape)} rows of {shape[0]} numbers")
        return self

    def classify(
        self, age_years: float, male_logit: float, quality: float | None, views: Views
    ) -> Classification:
        """What the mean reading of `views` views of a face of this quality says.

        A face whose quality nobody measured is taken for a poor one.
        """
        age_years = min(max(age_years, 0.0), OLDEST_YEARS)
        tables = self.views[views]
        place = self._place(age_years, self.quality_knots[0] if quality is None else quality)
        low_years = max(age_years + min(_read(tables.interval_low_years, place), 0.0), 0.0)
        high_years = min(age_years + max(_read(tables.interval_high_years, place), 0.0), OLDEST_YEARS)
        male = _sigmoid(_read(tables.gender_scale, place) * male_logit)
        confidence = max(male, 1.0 - male)
        gender: Gender = "male" if male >= 0.5 else "female"
        return Classification(
            age_years,
            (low_years, high_years),
            gender if confidence >= self.unknown_below else "unknown",
            confidence,
            male,
        )

    def _place(self, age_years: float, quality: float) -> NDArray[np.float64]:
        """How much each cell of a table counts there, (ages, qualities): at most four of them do."""
        return np.outer(_shares(self.age_knots_years, age_years), _shares(self.quality_knots, quality))


def load_calibration(nets: str) -> Calibration:
    """The calibration that is stored beside the weights.

    Raises:
        CalibrationError: it cannot be read, or was made for other nets than `nets`.
        WeightsError: its file is missing, or not the one that the manifest names.
    """
    try:
        calibration = Calibration.model_validate_json(calibration_file().read_bytes())
    except ValidationError as error:
        raise CalibrationError(f"the calibration of the nets cannot be read: {error}") from error
    if calibration.nets != nets:
        raise CalibrationError(
            f"the calibration was made for the nets {calibration.nets!r}, and these are {nets!r}: "
            "run `python -m tools.calibrate DATASET --write` in a checkout"
        )
    return calibration


def _read(table: Table, place: NDArray[np.float64]) -> float:
    return float(np.sum(np.array(table) * place))


def _shares(knots: Row, value: float) -> NDArray[np.float64]:
    """How much each knot counts for `value`: linear between two knots, the outermost alone beyond them."""
    return np.array([np.interp(value, knots, row) for row in np.eye(len(knots))])


def _sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit)), by way of the tangent, which no logit overflows."""
    return (math.tanh(logit / 2) + 1) / 2
