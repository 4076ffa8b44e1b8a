"""What the classified faces of one person say together. Pure.

The views of one person err alike: they show the same face, so a hundred of them are worth little more than a
few. How alike, `SHARED_ERROR`, is measured on several views each of labelled faces (`docs/models.md`); the
interval of the age is narrowed, and the gender made surer, by what the rest of the errors, which do cancel
out, allow. An age read from a good face is worth more than its mean with poor ones.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Sequence
from typing import Annotated, NamedTuple, Self

from pydantic import Field

from agegender.shared.messages.pipeline import Fraction, Gender, Model, Result, Unclassified, Years
from agegender.shared.models import gender_threshold

MAX_VOTES = 16
"""Faces of one track that have a say; from there on another view changes next to nothing."""

SHARED_ERROR = 0.95
"""The share of the error's variance that all views of a face have in common: what many views leave of it."""

_LEAST_WEIGHT = 0.05  # a face that was classified counts, however poor
_MOST_READINGS = 100  # the age is that of so many faces at most: a video may have thousands of one person
_SUREST = 0.999  # no single face may outvote all others


class Vote(Model):
    """What one face says about its person: an age and a gender, or why there is neither."""

    number: Annotated[int, Field(ge=1)]
    """The n-th face of its person that has a say."""
    quality: Fraction
    """How much it counts."""
    age_years: Years | None = None
    """None exactly where `unclassified` says why."""
    age_interval_years: tuple[Years, Years] | None = None
    """Holds the true age in 80 of 100 cases."""
    male_probability: Fraction | None = None
    """None where the face was not classified."""
    unclassified: Unclassified | None = None

    @classmethod
    def of(cls, result: Result, number: int) -> Self:
        """The vote of a result. A face of unmeasured quality counts by its detector's score."""
        face = result.face
        return cls(
            number=number,
            quality=face.score if face.quality is None else face.quality,
            age_years=result.age_years,
            age_interval_years=result.age_interval_years,
            male_probability=_male_probability(result),
            unclassified=result.unclassified,
        )


class Verdict(Model):
    """What some votes say together; years in tenths, probabilities to four places."""

    faces_classified: Annotated[int, Field(ge=0)] = 0
    age_years: Years | None = None
    """None where no face was classified."""
    age_interval_years: tuple[Years, Years] | None = None
    """Holds the true age in 80 of 100 cases, and always `age_years`; None where a classified face had none."""
    gender: Gender = "unknown"
    """`unknown` where neither is as likely as the calibration asks for."""
    gender_confidence: Fraction = 0.5
    """Probability of `gender`; for `unknown`, of the likelier of the two: 0.5 where nothing was classified."""
    male_probability: Fraction | None = None
    """None where no face was classified."""


class Reading(NamedTuple):
    """The age that one face was classified to be."""

    weight: float
    age_years: float
    below_years: float
    """How far the interval reaches below the age; 0 where there is none."""
    above_years: float

    @property
    def width_years(self) -> float:
        """Of the interval."""
        return self.below_years + self.above_years


def mean_reading(readings: Sequence[Reading], shared: float = SHARED_ERROR) -> Reading:
    """What the best faces say together; its weight is the sum of theirs.

    They are as many, the best first, as give the narrowest interval: so a face that is poorer than all others
    never widens it. It is left out of the age as well, since the mean with a poor face errs more than the
    interval of the good ones says.

    Each half of the interval is the weighted mean of theirs, narrowed by the root of s + (1 - s) / n: with s
    for `shared`, that is what the mean of n readings leaves of the variance of one.

    Args:
        readings: the best face first; one at least.
    """
    weight = squared_weight = age = below = above = 0.0
    narrowest: Reading | None = None
    for one in readings:
        weight += one.weight
        squared_weight += one.weight**2
        age += one.weight * one.age_years
        below += one.weight * one.below_years
        above += one.weight * one.above_years
        narrowed = math.sqrt(_variance_left(weight, squared_weight, shared)) / weight
        together = Reading(weight, age / weight, narrowed * below, narrowed * above)
        if narrowest is None or together.width_years <= narrowest.width_years:
            narrowest = together
    if narrowest is None:
        raise ValueError("expected a reading at least, got none")
    return narrowest


def _variance_left(weight: float, squared_weight: float, shared: float = SHARED_ERROR) -> float:
    """Of one face's error, by the mean of several with these sums of weights and of their squares.

    n = (sum of w)^2 / (sum of w^2) is the number of equally good faces that weigh as much (Kish, Survey
    Sampling, 1965).
    """
    return shared + (1 - shared) * squared_weight / weight**2


class Tally:
    """Adds up votes one by one, in little memory however many there are.

    The age and its interval are those of the best faces, see `mean_reading`. The gender is that of the
    weighted mean of the log odds of all faces, uncertain ones included, divided by the variance that is left
    of one face's: the fewer errors are left, the more a leaning says. One face alone so keeps its numbers.
    """

    def __init__(self) -> None:
        self._classified = 0
        self._weight = 0.0
        self._squared_weight = 0.0
        self._best: list[tuple[float, int, Reading]] = []
        self._has_intervals = True
        self._male_log_odds = 0.0

    def add(self, vote: Vote) -> None:
        """Counts one more vote; one that was not classified changes nothing."""
        if vote.age_years is None:
            return
        weight = max(vote.quality, _LEAST_WEIGHT)
        self._classified += 1
        self._weight += weight
        self._squared_weight += weight * weight
        self._has_intervals = self._has_intervals and vote.age_interval_years is not None
        low_years, high_years = vote.age_interval_years or (vote.age_years, vote.age_years)
        reading = Reading(weight, vote.age_years, vote.age_years - low_years, high_years - vote.age_years)
        bisect.insort(self._best, (-weight, vote.number, reading))
        del self._best[_MOST_READINGS:]
        male = 0.5 if vote.male_probability is None else vote.male_probability
        male = min(max(male, 1 - _SUREST), _SUREST)
        self._male_log_odds += weight * math.log(male / (1 - male))

    def verdict(self) -> Verdict:
        """What the votes so far say.

        Raises:
            WeightsError: the calibration beside the weights, which holds the threshold, cannot be read.
        """
        if not self._classified:
            return Verdict()
        log_odds = self._male_log_odds / self._weight / _variance_left(self._weight, self._squared_weight)
        male = round(1 / (1 + math.exp(-log_odds)), 4)
        confidence = max(male, round(1 - male, 4))
        likelier: Gender = "male" if male >= 0.5 else "female"
        age_years, interval_years = self._age()
        return Verdict(
            faces_classified=self._classified,
            age_years=age_years,
            age_interval_years=interval_years,
            gender=likelier if confidence >= gender_threshold() else "unknown",
            gender_confidence=confidence,
            male_probability=male,
        )

    def _age(self) -> tuple[float, tuple[float, float] | None]:
        """In years, with its interval; None where a face has none, and then all count."""
        readings = [reading for _, _, reading in self._best]
        if not self._has_intervals:
            weights = sum(one.weight for one in readings)
            return round(sum(one.weight * one.age_years for one in readings) / weights, 1), None
        _, age_years, below_years, above_years = mean_reading(readings)
        interval_years = round(max(age_years - below_years, 0.0), 1), round(age_years + above_years, 1)
        return round(age_years, 1), interval_years


def verdict(votes: Iterable[Vote]) -> Verdict:
    """What the votes say together, whatever their order: they are added up by their numbers.

    Raises:
        WeightsError: the calibration beside the weights, which holds the threshold, cannot be read.
    """
    tally = Tally()
    for vote in sorted(votes, key=lambda vote: vote.number):
        tally.add(vote)
    return tally.verdict()


def _male_probability(result: Result) -> float | None:
    if result.unclassified is not None or result.male_probability is not None:
        return result.male_probability
    if result.gender == "unknown":
        return 0.5
    return result.gender_confidence if result.gender == "male" else 1 - result.gender_confidence
