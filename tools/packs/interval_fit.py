"""Fits the calibration of a pack: which ages are likely for an age read, and which gender for a logit.

The true age is taken to follow a logistic curve around the age read, with another width on either side. Its
median depends on the age, its widths on age, quality, turn and the expected error. Only the intervals use it:
`tools.packs.age_shift` moves the ages themselves, and less. A label is the event that the age lies in its
span. So an exact age says more than a span of ten years, and no span asks for an
interval as wide as itself. The likelihood of all labels is climbed with Adam, and neighbouring knots are
pulled together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from agegender.services.classify.calibration import OLDEST_YEARS, Calibration

Floats = NDArray[np.float64]

AGE_KNOTS_YEARS = (3.0, 9.0, 16.0, 25.0, 40.0, 55.0, 70.0)
QUALITY_KNOTS = (0.1, 0.4, 0.7, 1.0)
TURN_KNOTS = (0.0, 0.3, 0.6, 1.0)
ERROR_KNOTS_YEARS = (2.5, 4.0, 5.5, 7.5, 10.0)
UNKNOWN_BELOW = 0.7
COVERAGE = 0.81
"""What the intervals hold of the faces that they are fitted to. The promise is 80 of 100; people who were not
fitted to lose some."""

_STEPS, _RATE = 1_500, 0.03
_MOMENTUM, _SPREAD, _TINY = 0.9, 0.999, 1e-9
_SMOOTH, _FACTOR_SMOOTH, _SHIFT_PULL = 0.003, 0.001, 0.00002
_FIRST_WIDTH_YEARS, _FIRST_SCALE = 4.0, 0.5
_LEAST_CHANCE = 1e-6
_TUNED, _TUNING, _FEW = 150, 1.0, 0.005
_LEAST_YEARS = 0.5
_DIRECTIONS = {"width": 1.0, "scale": -1.0}
"""Whether more turn or a larger expected error raises or lowers a factor. Its parameters are its rises from
knot to knot, 0 or more, as logarithms."""
_NO_END_YEARS = 200.0


@dataclass(frozen=True)
class Answers:
    """N faces with what a pack reads from them, and what is true, (N,) each."""

    age_years: Floats
    male_logit: Floats
    quality: Floats
    turn: Floats
    error_years: Floats
    """Expected by the pack."""
    low_years: Floats
    end_years: Floats
    """Infinite where the label has no end."""
    male: NDArray[np.bool_]
    weight: Floats
    copied: NDArray[np.bool_]
    """Whether the face is a smaller or blurred copy."""

    def where(self, chosen: NDArray[np.bool_]) -> Answers:
        """Some of the faces."""
        return Answers(**{name: value[chosen] for name, value in vars(self).items()})


def fit(answers: Answers, pack: str, age_shift_years: Sequence[float]) -> Calibration:
    """The calibration under which the labels are likeliest.

    Args:
        answers: with the ages as read.
        pack: its name in results.
        age_shift_years: at AGE_KNOTS_YEARS, see `Calibration.age_shift_years`.
    """
    shift_years = np.interp(answers.age_years, AGE_KNOTS_YEARS, age_shift_years)
    fitted = _Fit(replace(answers, age_years=answers.age_years + shift_years))
    for step in range(1, _STEPS + 1):
        fitted.climb(step)
    return fitted.calibration(pack, age_shift_years)


def joined(parts: Sequence[Answers]) -> Answers:
    """Several sets of faces as one."""
    return Answers(**{name: np.concatenate([vars(one)[name] for one in parts]) for name in vars(parts[0])})


class _Fit:
    """The parameters at the knots, as logarithms where they must be positive, with Adam's moments."""

    def __init__(self, answers: Answers) -> None:
        self._true = answers
        self._weight = answers.weight / answers.weight.sum()
        age_years = np.clip(answers.age_years, 0, OLDEST_YEARS)
        self._by_age = knot_weights(AGE_KNOTS_YEARS, age_years)
        by_quality = knot_weights(QUALITY_KNOTS, answers.quality)
        self._cells = (self._by_age[:, :, None] * by_quality[:, None, :]).reshape(len(age_years), -1)
        self._factors = {
            "turn": knot_weights(TURN_KNOTS, answers.turn),
            "error": knot_weights(ERROR_KNOTS_YEARS, answers.error_years),
        }
        end_years = np.where(np.isinf(answers.end_years), _NO_END_YEARS, answers.end_years)
        self._missing_years = (answers.low_years - age_years, end_years - age_years)
        cells = self._cells.shape[1]
        self.parameters: dict[str, Floats] = {
            "shift": np.zeros(len(AGE_KNOTS_YEARS)),
            "below": np.full(cells, np.log(_FIRST_WIDTH_YEARS)),
            "above": np.full(cells, np.log(_FIRST_WIDTH_YEARS)),
            "scale": np.full(cells, np.log(_FIRST_SCALE)),
        }
        for factor, weights in self._factors.items():
            self.parameters |= {f"{part}_{factor}": np.zeros(weights.shape[1]) for part in ("width", "scale")}
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
        for factor, part in product(self._factors, _DIRECTIONS):
            rises = np.maximum(self.parameters[f"{part}_{factor}"], 0)
            rises[0] = 0
            self.parameters[f"{part}_{factor}"] = rises

    def _of_factors(self, part: str) -> Mapping[str, Floats]:
        """The width or the scale of each face by each factor, (N,)."""
        return {factor: weights @ self._at_knots(part, factor) for factor, weights in self._factors.items()}

    def _at_knots(self, part: str, factor: str) -> Floats:
        """The factor at its knots: 1 at the first, then only wider, or only less sure."""
        return np.exp(_DIRECTIONS[part] * np.cumsum(self.parameters[f"{part}_{factor}"]))

    def _factor_slopes(self, part: str, slope: Floats) -> dict[str, Floats]:
        """The derivatives by the factors, from those by the logarithm of the width or scale of each face."""
        slopes = {}
        for factor, by_face in self._of_factors(part).items():
            moved = self._factors[factor].T @ (slope / by_face) * self._at_knots(part, factor)
            by_rise = _DIRECTIONS[part] * np.cumsum(moved[::-1])[::-1]
            slopes[f"{part}_{factor}"] = by_rise + _FACTOR_SMOOTH * self.parameters[f"{part}_{factor}"]
        return slopes

    def _age_slopes(self) -> dict[str, Floats]:
        """The derivatives of the surprise of the ages, smoothness included."""
        now = self.parameters
        shift_years = self._by_age @ now["shift"]
        below, above = np.exp(now["below"]), np.exp(now["above"])
        wider = np.prod(list(self._of_factors("width").values()), axis=0)
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
        } | self._factor_slopes("width", stretched)

    def _gender_slopes(self) -> dict[str, Floats]:
        """The derivatives of the surprise of the genders, smoothness included."""
        now = self.parameters
        logit, sign = self._true.male_logit, np.where(self._true.male, 1.0, -1.0)
        scale = np.exp(now["scale"])
        by_cell = self._cells @ scale
        by_factors = np.prod(list(self._of_factors("scale").values()), axis=0)
        right = sign * by_cell * by_factors * logit
        slope = -self._weight / (1 + np.exp(np.clip(right, -50, 50))) * right
        return {
            "scale": self._cells.T @ (slope / by_cell) * scale + _roughness(now["scale"]),
        } | self._factor_slopes("scale", slope)

    def calibration(self, pack: str, age_shift_years: Sequence[float]) -> Calibration:
        """The parameters as tables: wider for poorer and more turned faces, never the reverse."""
        shape = (len(AGE_KNOTS_YEARS), len(QUALITY_KNOTS))
        reach = np.log(COVERAGE / 2 + 0.5) - np.log(0.5 - COVERAGE / 2)
        low, high, scale = (
            np.exp(self.parameters[name]).reshape(shape) for name in ("below", "above", "scale")
        )
        shift_years, knots = self.parameters["shift"][:, np.newaxis], np.array(AGE_KNOTS_YEARS)[:, np.newaxis]
        low, high, errors = self._tuned(
            np.minimum(shift_years - reach * low, -_LEAST_YEARS),
            np.maximum(shift_years + reach * high, _LEAST_YEARS),
        )
        low = np.minimum.accumulate(low[:, ::-1], axis=1)[:, ::-1]
        high = np.maximum.accumulate(high[:, ::-1], axis=1)[:, ::-1]
        low = np.maximum.accumulate(knots + low, axis=0) - knots
        high = np.maximum.accumulate(knots + high, axis=0) - knots
        return Calibration(
            pack=pack,
            age_knots_years=AGE_KNOTS_YEARS,
            quality_knots=QUALITY_KNOTS,
            turn_knots=TURN_KNOTS,
            error_knots_years=ERROR_KNOTS_YEARS,
            age_shift_years=_rounded(np.asarray(age_shift_years), 2),
            unknown_below=UNKNOWN_BELOW,
            interval_low_years=_rounded(np.minimum(low, 0), 1),
            interval_high_years=_rounded(np.maximum(high, 0), 1),
            interval_turn=_rounded(self._at_knots("width", "turn"), 2),
            interval_error=_rounded(errors, 2),
            gender_scale=_rounded(scale, 3),
            gender_turn=_rounded(self._at_knots("scale", "turn"), 2),
            gender_error=_rounded(self._at_knots("scale", "error"), 2),
        )

    def _tuned(self, low: Floats, high: Floats) -> tuple[Floats, Floats, Floats]:
        """The ends of the intervals and the factors of the expected error, scaled until COVERAGE holds.

        Each end is to miss as often as the other, at each knot of the age and of the expected error. Of a
        span, the fitted curve tells how likely its ages are. Copies do not count here.
        """
        errors = self._at_knots("width", "error")
        turned = self._of_factors("width")["turn"]
        by_error, by_age = self._factors["error"], self._by_age
        weight = self._weight * ~self._true.copied
        misses = (1 - COVERAGE) / 2
        for _ in range(_TUNED):
            wider = turned * (by_error @ errors)
            from_years = self._cells @ np.minimum(low, 0).ravel() * wider
            to_years = self._cells @ np.maximum(high, 0).ravel() * wider
            below, above = self._chance_below(from_years), 1 - self._chance_below(to_years)
            low = low * np.exp(_TUNING * (_excess(by_age, weight, below, misses)))[:, np.newaxis]
            high = high * np.exp(_TUNING * (_excess(by_age, weight, above, misses)))[:, np.newaxis]
            errors = errors * np.exp(_TUNING * (_excess(by_error, weight, below + above, 2 * misses)))
            errors = np.maximum.accumulate(errors / errors[0])
        return low, high, errors

    def _chance_below(self, years: Floats) -> Floats:
        """The chance that the true age lies below the age read plus `years`, given the label, (N,)."""
        first, last = (self._reached(end_years) for end_years in self._missing_years)
        reached = np.clip(self._reached(years), first, last)
        return np.asarray((reached - first) / np.maximum(last - first, _LEAST_CHANCE))

    def _reached(self, years: Floats) -> Floats:
        """The fitted curve of the true age at the age read plus `years`, (N,)."""
        off_years = years - self._by_age @ self.parameters["shift"]
        below_years, above_years = (
            self._cells @ np.exp(self.parameters[side]) for side in ("below", "above")
        )
        wider = np.prod(list(self._of_factors("width").values()), axis=0)
        width_years = np.where(off_years < 0, below_years, above_years) * wider
        return np.asarray(1 / (1 + np.exp(-np.clip(off_years / width_years, -50, 50))))


def _excess(by_knot: Floats, weight: Floats, misses: Floats, wanted: float) -> Floats:
    """How much more than `wanted` is missed around each knot; less where there are few faces."""
    weights = by_knot * weight[:, np.newaxis]
    return np.asarray(weights.T @ (misses - wanted) / (weights.sum(axis=0) + _FEW * weight.sum()))


def _roughness(cells: Floats) -> Floats:
    """The pull of each cell towards its neighbours in age and quality."""
    grid = cells.reshape(len(AGE_KNOTS_YEARS), len(QUALITY_KNOTS))
    pull = np.zeros_like(grid)
    for axis in (0, 1):
        steps = np.diff(grid, axis=axis)
        pull += np.insert(steps, 0, 0, axis=axis) - np.insert(steps, steps.shape[axis], 0, axis=axis)
    return np.asarray(_SMOOTH * pull.ravel())


def knot_weights(knots: Sequence[float], values: Floats) -> Floats:
    """The weight of each knot for each value, (N, K)."""
    return np.stack([np.interp(values, knots, row) for row in np.eye(len(knots))], axis=1)


def _rounded(values: Floats, digits: int) -> list[float] | list[list[float]]:
    rounded: list[float] | list[list[float]] = np.round(values, digits).tolist()
    return rounded
