"""What the shots of one person have in common, and what they say together.

The error of a shot is what all shots of its person share, plus what is the shot's own. Only the latter fades
in a mean. With s for the share of the variance that is common, the mean over n shots has s + (1 - s) / n of
the variance of one. Were all errors normal, an interval could be narrowed by the root of that; as they are
not, the share that intervals bear is measured for itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from agegender.shared.messages.votes import Reading, mean_reading
from tools.calibration.labelled_faces import Chosen, Floats, LabelledFaces


@dataclass(frozen=True)
class Shots(LabelledFaces):
    """Shots of labelled people as the pipeline classifies them, (N,) each."""

    band: NDArray[np.int64]
    """Of the face's height."""
    quality: Floats
    age_years: Floats
    from_years: Floats
    """Where the interval begins."""
    to_years: Floats
    male_log_odds: Floats
    """Calibrated: those of `male_probability`."""


@dataclass(frozen=True)
class Spread:
    """How far apart readings lie, as standard deviations."""

    within: float
    """Between shots of one person."""
    overall: float
    """Between the readings of all and the truth."""

    @property
    def shared(self) -> float:
        """The share of the variance that is common to all shots of a person, 0 to 1."""
        return max(0.0, 1 - (self.within / self.overall) ** 2)


def age_spread(shots: Shots) -> Spread:
    """In years. A label that is a span counts as an age drawn evenly from it, as in the intervals."""
    span_years = shots.drawn_end_years - shots.low_years
    off_years = shots.age_years - (shots.low_years + span_years / 2)
    overall = off_years.var() + np.mean(span_years**2) / 12
    return Spread(within(shots.age_years, shots.person), float(np.sqrt(overall)))


def gender_spread(shots: Shots) -> Spread:
    """In log odds, those of each gender around their own mean."""
    log_odds = shots.male_log_odds
    means = np.where(shots.male, log_odds[shots.male].mean(), log_odds[~shots.male].mean())
    return Spread(within(log_odds, shots.person), float(np.sqrt(np.mean((log_odds - means) ** 2))))


def within(values: Floats, person: NDArray[np.int64]) -> float:
    """The standard deviation between the values of one person.

    Raises:
        ValueError: no person has two values.
    """
    freedom = len(values) - len(np.unique(person))
    if freedom == 0:
        raise ValueError("expected two shots of a person, got one of each")
    return float(np.sqrt(np.sum(_own(values, person) ** 2) / freedom))


def from_wildest(values: Floats, person: NDArray[np.int64], wildest: float) -> float:
    """Which share of the variance within people comes from the share `wildest` of the values, 0 to 1 both."""
    squares = np.sort(_own(values, person) ** 2)[::-1]
    return float(squares[: round(wildest * len(squares))].sum() / squares.sum())


def _own(values: Floats, person: NDArray[np.int64]) -> Floats:
    """How far each value lies from the mean of its person."""
    _, number, counts = np.unique(person, return_inverse=True, return_counts=True)
    return np.asarray(values - (np.bincount(number, values) / counts)[number])


@dataclass(frozen=True)
class Together(LabelledFaces):
    """People as all their shots show them, one row each."""

    effective_shots: Floats
    """(sum of weights)² / sum of squared weights: how many shots of equal weight would be worth as much."""
    age_years: Floats
    from_years: Floats
    to_years: Floats
    male_log_odds: Floats

    @classmethod
    def of(cls, shots: Shots) -> Self:
        """The means of each person's shots, weighted by their quality, not yet narrowed."""
        _, first, number = np.unique(shots.person, return_index=True, return_inverse=True)
        weights = np.bincount(number, shots.quality)

        def mean(values: Floats) -> Floats:
            return np.bincount(number, shots.quality * values) / weights

        return cls(
            person=shots.person[first],
            low_years=shots.low_years[first],
            end_years=shots.end_years[first],
            male=shots.male[first],
            effective_shots=weights**2 / np.bincount(number, shots.quality**2),
            age_years=mean(shots.age_years),
            from_years=mean(shots.from_years),
            to_years=mean(shots.to_years),
            male_log_odds=mean(shots.male_log_odds),
        )

    def narrowed(self, shared: float) -> tuple[Floats, Floats]:
        """The intervals, (N,) beginnings and (N,) ends, as much narrower as the shots tell more than one."""
        factor = np.sqrt(_variance_left(self.effective_shots, shared))
        return (
            self.age_years - factor * (self.age_years - self.from_years),
            self.age_years + factor * (self.to_years - self.age_years),
        )

    def surer(self, shared: float) -> Floats:
        """The log odds, (N,), as much larger as the shots tell more than one.

        Evidence that is normal around the mean of each gender weighs as much as its variance is small.
        """
        return np.asarray(self.male_log_odds / _variance_left(self.effective_shots, shared))


def of_the_best(shots: Shots, shared: float) -> tuple[Floats, tuple[Floats, Floats]]:
    """What the best shots of each person say, as the pipeline has it: ages and narrowed intervals, (N,) each.

    In the order of `Together`; `agegender.shared.messages.votes.mean_reading` says which shots these are.
    """
    below_years, above_years = shots.age_years - shots.from_years, shots.to_years - shots.age_years
    columns = (shots.quality, shots.age_years, below_years, above_years)
    readings = [Reading(*map(float, one)) for one in np.stack(columns).T]
    people: dict[int, list[Reading]] = {int(person): [] for person in np.unique(shots.person)}
    for place in np.argsort(-shots.quality, kind="stable"):
        people[int(shots.person[place])].append(readings[place])
    together = [mean_reading(best_first, shared) for best_first in people.values()]
    _, age_years, below_years, above_years = np.array(together, np.float64).T
    return age_years, (age_years - below_years, age_years + above_years)


def _variance_left(effective_shots: Floats, shared: float) -> Floats:
    return np.asarray(shared + (1 - shared) / effective_shots)


def one_each(values: NDArray[np.generic], person: NDArray[np.int64]) -> float:
    """The mean of the people's means: no person counts more for being seen more often."""
    _, number, counts = np.unique(person, return_inverse=True, return_counts=True)
    return float(np.mean(np.bincount(number, values) / counts))


def surprise(male: Chosen, male_log_odds: Floats) -> Floats:
    """How surprising each gender is, given the odds: the negative log likelihoods, (N,)."""
    return np.logaddexp(0, np.where(male, -male_log_odds, male_log_odds))


def bearable_shares(distances: Sequence[Shots]) -> tuple[float, float]:
    """With which shares the means say no more than they keep, over all distances alike.

    Of the age: where narrowed intervals hold as often as those of one shot. Of the gender: where the genders
    surprise least. Both are sought from 0.3 to 1.2; above 1, means would deserve less trust than one shot.
    """
    people = [Together.of(shots) for shots in distances]
    shares = np.arange(0.3, 1.2, 0.01)
    held = [np.mean([one.covered(*one.narrowed(share)).mean() for one in people]) for share in shares]
    surprises = [np.mean([surprise(one.male, one.surer(share)).mean() for one in people]) for share in shares]
    of_one_shot = [
        one_each(shots.covered(shots.from_years, shots.to_years), shots.person) for shots in distances
    ]
    age = np.interp(np.mean(of_one_shot), held, shares)
    return float(age), float(shares[np.argmin(surprises)])
