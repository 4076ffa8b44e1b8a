"""Fits the calibration of a pack: which ages are likely for an age read, and which gender for a logit.

The true age is taken to follow a logistic curve around the age read, with another width on either side. Its
median depends on the age, its widths on age, quality and turn. Only the intervals use it. Ages stay as read,
because a median moved by one half of the people made the ages of the other half worse. A label is the event
that the age lies in its span. So an exact age says more than a span of ten years, and no span asks for an
interval as wide as itself. The likelihood of all labels is climbed with Adam, and neighbouring knots are
pulled together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agegender.services.classify.calibration import OLDEST_YEARS, Calibration

Floats = NDArray[np.float64]

AGE_KNOTS_YEARS = (3.0, 9.0, 16.0, 25.0, 40.0, 55.0, 70.0)
QUALITY_KNOTS = (0.1, 0.4, 0.7, 1.0)
TURN_KNOTS = (0.0, 0.3, 0.6, 1.0)
UNKNOWN_BELOW = 0.7
COVERAGE = 0.83
"""Of the fitted curve. The promise is 80 of 100; people who were not fitted to lose some."""

_STEPS, _RATE = 1_500, 0.03
_MOMENTUM, _SPREAD, _TINY = 0.9, 0.999, 1e-9
_SMOOTH, _TURN_SMOOTH, _SHIFT_PULL = 0.003, 0.001, 0.00002
_FIRST_WIDTH_YEARS, _FIRST_SCALE = 4.0, 0.5
_LEAST_CHANCE = 1e-6
_NO_END_YEARS = 200.0


@dataclass(frozen=True)
class Answers:
    """N faces with what a pack reads from them, and what is true, (N,) each."""

    age_years: Floats
    male_logit: Floats
    quality: Floats
    turn: Floats
    low_years: Floats
    end_years: Floats
    """Infinite where the label has no end."""
    male: NDArray[np.bool_]
    weight: Floats


def fit(answers: Answers, pack: str) -> Calibration:
    """The calibration under which the labels are likeliest."""
    fitted = _Fit(answers)
    for step in range(1, _STEPS + 1):
        fitted.climb(step)
    return fitted.calibration(pack)


def joined(parts: Sequence[Answers]) -> Answers:
    """Several sets of faces as one."""
    return Answers(**{name: np.concatenate([vars(one)[name] for one in parts]) for name in vars(parts[0])})


class _Fit:
    """The parameters at the knots, as logarithms where they must be positive, with Adam's moments."""

    def __init__(self, answers: Answers) -> None:
        self._true = answers
        self._weight = answers.weight / answers.weight.sum()
        age_years = np.clip(answers.age_years, 0, OLDEST_YEARS)
        self._by_age = _knot_weights(AGE_KNOTS_YEARS, age_years)
        by_quality = _knot_weights(QUALITY_KNOTS, answers.quality)
        self._cells = (self._by_age[:, :, None] * by_quality[:, None, :]).reshape(len(age_years), -1)
        self._by_turn = _knot_weights(TURN_KNOTS, answers.turn)
        end_years = np.where(np.isinf(answers.end_years), _NO_END_YEARS, answers.end_years)
        self._missing_years = (answers.low_years - age_years, end_years - age_years)
        cells = self._cells.shape[1]
        self.parameters: dict[str, Floats] = {
            "shift": np.zeros(len(AGE_KNOTS_YEARS)),
            "below": np.full(cells, np.log(_FIRST_WIDTH_YEARS)),
            "above": np.full(cells, np.log(_FIRST_WIDTH_YEARS)),
            "turn": np.zeros(len(TURN_KNOTS)),
            "scale": np.full(cells, np.log(_FIRST_SCALE)),
            "scale_turn": np.zeros(len(TURN_KNOTS)),
        }
        self._moments = {name: np.zeros_like(value) for name, value in self.parameters.items()}
        self._squares = {name: np.zeros_like(value) for name, value in self.parameters.items()}

    def climb(self, step: int) -> None:
        """One step of Adam."""
        slopes = self._age_slopes() | self._gender_slopes()
        for name, slope in slopes.items():
            moment = self._moments[name] = _MOMENTUM * self._moments[name] + (1 - _MOMENTUM) * slope
            square = self._squares[name] = _SPREAD * self._squares[name] + (1 - _SPREAD) * slope**2
            change = moment / (1 - _MOMENTUM**step) / (np.sqrt(square / (1 - _SPREAD**step)) + _TINY)
            self.parameters[name] = self.parameters[name] - _RATE * change
        self.parameters["turn"][0] = self.parameters["scale_turn"][0] = 0

    def _age_slopes(self) -> dict[str, Floats]:
        """The derivatives of the surprise of the ages, smoothness included."""
        now = self.parameters
        shift_years = self._by_age @ now["shift"]
        below, above, turn = np.exp(now["below"]), np.exp(now["above"]), np.exp(now["turn"])
        wider = self._by_turn @ turn
        below_years, above_years = self._cells @ below, self._cells @ above
        ends = []
        for missing_years in self._missing_years:
            off_years = missing_years - shift_years
            under = off_years < 0
            width_years = np.where(under, below_years, above_years) * wider
            steps = np.clip(off_years / width_years, -50, 50)
            reached = 1 / (1 + np.exp(-steps))
            density = reached * (1 - reached) / width_years
            ends.append((reached, density, -density * off_years, under))
        (low, low_density, low_stretch, low_under), (high, high_density, high_stretch, high_under) = ends
        surprise = -self._weight / np.maximum(high - low, _LEAST_CHANCE)
        moved = surprise * (low_density - high_density)
        stretched_below = surprise * (high_stretch * high_under - low_stretch * low_under)
        stretched_above = surprise * (high_stretch * ~high_under - low_stretch * ~low_under)
        stretched = stretched_below + stretched_above
        return {
            "shift": self._by_age.T @ moved + _SHIFT_PULL * now["shift"],
            "below": self._cells.T @ (stretched_below / below_years) * below + _roughness(now["below"]),
            "above": self._cells.T @ (stretched_above / above_years) * above + _roughness(now["above"]),
            "turn": self._by_turn.T @ (stretched / wider) * turn + _TURN_SMOOTH * _steps(now["turn"]),
        }

    def _gender_slopes(self) -> dict[str, Floats]:
        """The derivatives of the surprise of the genders, smoothness included."""
        now = self.parameters
        logit, sign = self._true.male_logit, np.where(self._true.male, 1.0, -1.0)
        scale, turn = np.exp(now["scale"]), np.exp(now["scale_turn"])
        by_cell, by_turn = self._cells @ scale, self._by_turn @ turn
        right = sign * by_cell * by_turn * logit
        slope = -sign * self._weight / (1 + np.exp(np.clip(right, -50, 50)))
        return {
            "scale": self._cells.T @ (slope * by_turn * logit) * scale + _roughness(now["scale"]),
            "scale_turn": self._by_turn.T @ (slope * by_cell * logit) * turn
            + _TURN_SMOOTH * _steps(now["scale_turn"]),
        }

    def calibration(self, pack: str) -> Calibration:
        """The parameters as tables: wider for poorer and more turned faces, never the reverse."""
        shape = (len(AGE_KNOTS_YEARS), len(QUALITY_KNOTS))
        reach = np.log(COVERAGE / 2 + 0.5) - np.log(0.5 - COVERAGE / 2)
        low, high, scale = (
            np.exp(self.parameters[name]).reshape(shape) for name in ("below", "above", "scale")
        )
        shift_years, knots = self.parameters["shift"][:, np.newaxis], np.array(AGE_KNOTS_YEARS)[:, np.newaxis]
        low = np.maximum.accumulate(shift_years - reach * low, axis=1)
        high = np.minimum.accumulate(shift_years + reach * high, axis=1)
        low = np.maximum.accumulate(knots + low, axis=0) - knots
        high = np.maximum.accumulate(knots + high, axis=0) - knots
        return Calibration(
            pack=pack,
            age_knots_years=AGE_KNOTS_YEARS,
            quality_knots=QUALITY_KNOTS,
            turn_knots=TURN_KNOTS,
            unknown_below=UNKNOWN_BELOW,
            interval_low_years=_rounded(np.minimum(low, 0), 1),
            interval_high_years=_rounded(np.maximum(high, 0), 1),
            interval_turn=_rounded(np.maximum.accumulate(np.exp(self.parameters["turn"])), 2),
            gender_scale=_rounded(scale, 3),
            gender_turn=_rounded(np.minimum.accumulate(np.exp(self.parameters["scale_turn"])), 2),
        )


def _roughness(cells: Floats) -> Floats:
    """The pull of each cell towards its neighbours in age and quality."""
    grid = cells.reshape(len(AGE_KNOTS_YEARS), len(QUALITY_KNOTS))
    pull = np.zeros_like(grid)
    for axis in (0, 1):
        steps = np.diff(grid, axis=axis)
        pull += np.insert(steps, 0, 0, axis=axis) - np.insert(steps, steps.shape[axis], 0, axis=axis)
    return np.asarray(_SMOOTH * pull.ravel())


def _steps(knots: Floats) -> Floats:
    """The steps from knot to knot, each counted at its end; the first knot stays where it is."""
    return np.diff(knots, prepend=knots[0])


def _knot_weights(knots: Sequence[float], values: Floats) -> Floats:
    """The weight of each knot for each value, (N, K)."""
    return np.stack([np.interp(values, knots, row) for row in np.eye(len(knots))], axis=1)


def _rounded(values: Floats, digits: int) -> list[float] | list[list[float]]:
    rounded: list[float] | list[list[float]] = np.round(values, digits).tolist()
    return rounded
