"""Age and gender of a person from the votes of a track. Pure.

The faces of one person have correlated errors, so a hundred of them are worth little more than a few.
`SHARED_ERROR` was measured on several views of each labelled face (`docs/models.md`). Only the independent
part of the error cancels out: it narrows the age interval and raises the confidence of the gender. The age of
one good face is better than its mean with poor ones.
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
"""The most votes of one track; further ones would change next to nothing."""

SHARED_ERROR = 0.95
"""The fraction of the error variance that all faces of a person share; any number of votes leaves it."""

_LEAST_WEIGHT = 0.05  # even the poorest classified face counts a little
_MOST_READINGS = 100  # of one person; a video may have thousands
_SUREST = 0.999  # so that no single face outvotes all others


class Vote(Model):
    """Age and gender of one face of a track, or why it is unclassified."""

    number: Annotated[int, Field(ge=1)]
    """This is the n-th vote of the track."""
    quality: Fraction
    """The weight of the vote."""
    age_years: Years | None = None
    """None exactly when `unclassified` gives the reason."""
    age_interval_years: tuple[Years, Years] | None = None
    """Contains the true age in 80 of 100 cases."""
    male_probability: Fraction | None = None
    """None for an unclassified face."""
    unclassified: Unclassified | None = None
    nets: str | None = None
    """The name of the pack of neural nets. None for an unclassified face."""

    @classmethod
    def of(cls, result: Result, number: int) -> Self:
        """The vote of a result. Without a quality, the score of the detector is the weight."""
        face = result.face
        return cls(
            number=number,
            quality=face.score if face.quality is None else face.quality,
            age_years=result.age_years,
            age_interval_years=result.age_interval_years,
            male_probability=_male_probability(result),
            unclassified=result.unclassified,
            nets=result.nets if result.unclassified is None else None,
        )


class Verdict(Model):
    """Age and gender from several votes. Years have one decimal, probabilities four."""

    faces_classified: Annotated[int, Field(ge=0)] = 0
    age_years: Years | None = None
    """None without a classified face."""
    age_interval_years: tuple[Years, Years] | None = None
    """Contains the true age in 80 of 100 cases, and always `age_years`. None if a vote has no interval."""
    gender: Gender = "unknown"
    """`unknown` when neither reaches the threshold of the calibration."""
    gender_confidence: Fraction = 0.5
    """Probability of `gender`; for `unknown`, of the likelier gender. 0.5 without a classified face."""
    male_probability: Fraction | None = None
    """None without a classified face."""
    nets: str | None = None
    """The pack that classified the faces; more than one, such as `default-1, fast-1`, after a change of the
    setting. None without a classified face."""


class Reading(NamedTuple):
    """The age of one face, with its weight."""

    weight: float
    age_years: float
    below_years: float
    """How far the interval reaches below the age; 0 without an interval."""
    above_years: float

    @property
    def width_years(self) -> float:
        """The width of the interval."""
        return self.below_years + self.above_years


def mean_reading(readings: Sequence[Reading], shared: float = SHARED_ERROR) -> Reading:
    """The weighted mean of the best readings; its weight is the sum of theirs.

    The number of readings is the one that gives the narrowest interval, so a poorer reading never widens it.
    Such a reading is left out of the age too: the mean with it errs more than the interval of the good ones
    allows. Of equally good readings all count or none. A choice among them would be one by the age read,
    because the intervals of the young are narrower.

    Each half of the interval is the weighted mean of the halves, times sqrt(s + (1 - s) / n) with s =
    `shared`. That is the standard error of the mean of n readings with errors of correlation s.

    Args:
        readings: the best one first; at least one.
        shared: the correlation of the errors, 0 to 1.
    """
    weight = squared_weight = age = below = above = 0.0
    narrowest: Reading | None = None
    for place, one in enumerate(readings):
        weight += one.weight
        squared_weight += one.weight**2
        age += one.weight * one.age_years
        below += one.weight * one.below_years
        above += one.weight * one.above_years
        if place + 1 < len(readings) and readings[place + 1].weight == one.weight:
            continue
        narrowed = math.sqrt(_variance_left(weight, squared_weight, shared)) / weight
        together = Reading(weight, age / weight, narrowed * below, narrowed * above)
        if narrowest is None or together.width_years <= narrowest.width_years:
            narrowest = together
    if narrowest is None:
        raise ValueError("expected at least one reading, got none")
    return narrowest


def _variance_left(weight: float, squared_weight: float, shared: float = SHARED_ERROR) -> float:
    """The variance of a weighted mean, relative to that of one reading.

    n = (sum of w)^2 / (sum of w^2) is the effective number of readings (Kish, Survey Sampling, 1965).
    """
    return shared + (1 - shared) * squared_weight / weight**2


class VoteSum:
    """Adds up votes one by one, in constant memory.

    Age and interval come from the best faces, see `mean_reading`. The gender comes from the weighted mean of
    the log odds of all faces, uncertain ones included, divided by the remaining relative variance. So more
    votes make the same leaning more certain, and a single face keeps its probability.
    """

    def __init__(self) -> None:
        self._classified = 0
        self._weight = 0.0
        self._squared_weight = 0.0
        self._best: list[tuple[float, int, Reading]] = []
        self._has_intervals = True
        self._male_log_odds = 0.0
        self._nets: set[str] = set()

    def add(self, vote: Vote) -> None:
        """Adds a vote; an unclassified one changes nothing."""
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
        if vote.nets is not None:
            self._nets.add(vote.nets)
        male = 0.5 if vote.male_probability is None else vote.male_probability
        male = min(max(male, 1 - _SUREST), _SUREST)
        self._male_log_odds += weight * math.log(male / (1 - male))

    def verdict(self) -> Verdict:
        """Age and gender from the votes so far.

        Raises:
            WeightsError: the calibration, which holds the threshold, cannot be read.
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
            nets=", ".join(sorted(self._nets)) or None,
        )

    def _age(self) -> tuple[float, tuple[float, float] | None]:
        """Age and interval in years. If a face has no interval, there is none, and all faces count."""
        readings = [reading for _, _, reading in self._best]
        if not self._has_intervals:
            weights = sum(one.weight for one in readings)
            return round(sum(one.weight * one.age_years for one in readings) / weights, 1), None
        _, age_years, below_years, above_years = mean_reading(readings)
        interval_years = round(max(age_years - below_years, 0.0), 1), round(age_years + above_years, 1)
        return round(age_years, 1), interval_years


def verdict(votes: Iterable[Vote]) -> Verdict:
    """Age and gender from these votes. Their order does not matter: they are sorted by number.

    Raises:
        WeightsError: the calibration, which holds the threshold, cannot be read.
    """
    votes_so_far = VoteSum()
    for vote in sorted(votes, key=lambda vote: vote.number):
        votes_so_far.add(vote)
    return votes_so_far.verdict()


def _male_probability(result: Result) -> float | None:
    if result.unclassified is not None or result.male_probability is not None:
        return result.male_probability
    if result.gender == "unknown":
        return 0.5
    return result.gender_confidence if result.gender == "male" else 1 - result.gender_confidence
