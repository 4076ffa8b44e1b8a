"""What the judged faces of one person say together. Pure.

The views of one person err alike: they show the same face, so a hundred of them are worth little more than a
few. How alike, `SHARED_ERROR`, is measured on several views each of labelled faces (`docs/models.md`); the
interval of the age is narrowed, and the gender made surer, by what the rest of the errors, which do cancel
out, allow.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import Field

from shared.messages import Gender, Model, Result, Share, Unjudged, Years
from shared.models import gender_threshold

MAX_VOTES = 16
"""Faces of one track that have a say; from there on another view changes next to nothing."""

SHARED_ERROR = 0.95
"""The share of the error's variance that all views of a face have in common: what many views leave of it."""

_LEAST_WEIGHT = 0.05  # a face that was judged counts, however poor
_SUREST = 0.999  # no single face may outvote all others


class Vote(Model):
    """What one face says about its person: an age and a gender, or why there is neither."""

    number: Annotated[int, Field(ge=1)]
    """The n-th face of its person that has a say."""
    quality: Share
    """How much it counts."""
    age_years: Years | None = None
    """None exactly where `unjudged` says why."""
    age_interval_years: tuple[Years, Years] | None = None
    """Holds the true age in 80 of 100 cases."""
    male_probability: Share | None = None
    """None where the face was not judged."""
    unjudged: Unjudged | None = None

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
            unjudged=result.unjudged,
        )


class Verdict(Model):
    """What some votes say together; years in tenths, probabilities to four places."""

    faces_judged: Annotated[int, Field(ge=0)] = 0
    age_years: Years | None = None
    """None where no face was judged."""
    age_interval_years: tuple[Years, Years] | None = None
    """Holds the true age in 80 of 100 cases, and always `age_years`; None where a judged face had none."""
    gender: Gender = "unknown"
    """`unknown` where neither is as likely as the calibration asks for."""
    gender_confidence: Share = 0.5
    """Probability of `gender`; for `unknown`, of the likelier of the two: 0.5 where nothing was judged."""
    male_probability: Share | None = None
    """None where no face was judged."""


class Widths:
    """The intervals of the best `MAX_VOTES` faces of one person, and how wide they are together.

    The mean, weighted by quality, is made from the best face to the poorest. One that is wider than the mean
    of those before it is left out: a poor look at somebody takes nothing away from what a good one told. So
    no face that is poorer than all others ever widens it, and the order of arrival does not matter.
    """

    def __init__(self) -> None:
        self._best: list[tuple[float, int, float, float]] = []

    def add(self, weight: float, number: int, below_years: float, above_years: float) -> None:
        """One more face: the `number`-th of its person, and how far its interval reaches from its age."""
        bisect.insort(self._best, (-weight, number, below_years, above_years))
        del self._best[MAX_VOTES:]

    def mean(self) -> tuple[float, float]:
        """How far the interval of all reaches below and above the age, in years. There must be a face."""
        weights = below = above = 0.0
        for negated, _, below_years, above_years in self._best:
            if weights == 0.0 or (below_years + above_years) * weights <= below + above:
                weights -= negated
                below -= negated * below_years
                above -= negated * above_years
        return below / weights, above / weights


class Tally:
    """Adds up votes one by one, in little memory however many there are.

    The age is the mean, weighted by quality. The interval is the mean of those of the faces, see `Widths`,
    each of its halves narrowed by the root of s + (1 - s) / n: with `SHARED_ERROR` for s, that is what the
    mean of n readings leaves of the variance of one. n = (sum of w)^2 / (sum of w^2) is the number of equally
    good faces that weigh as much (Kish, Survey Sampling, 1965). The gender is that of the weighted mean of
    the log odds, uncertain faces included, divided by the same: the fewer errors are left, the more a leaning
    says. One face alone so keeps its own numbers.
    """

    def __init__(self) -> None:
        self._judged = 0
        self._weight = 0.0
        self._squared_weight = 0.0
        self._age = 0.0
        self._widths: Widths | None = Widths()
        self._male_log_odds = 0.0

    def add(self, vote: Vote) -> None:
        """Counts one more vote; one that was not judged changes nothing."""
        if vote.age_years is None:
            return
        weight = max(vote.quality, _LEAST_WEIGHT)
        self._judged += 1
        self._weight += weight
        self._squared_weight += weight * weight
        self._age += weight * vote.age_years
        if self._widths is None or vote.age_interval_years is None:
            self._widths = None
        else:
            low_years, high_years = vote.age_interval_years
            self._widths.add(weight, vote.number, vote.age_years - low_years, high_years - vote.age_years)
        male = 0.5 if vote.male_probability is None else vote.male_probability
        male = min(max(male, 1 - _SUREST), _SUREST)
        self._male_log_odds += weight * math.log(male / (1 - male))

    def verdict(self) -> Verdict:
        """What the votes so far say.

        Raises:
            WeightsError: the calibration beside the weights, which holds the threshold, cannot be read.
        """
        if not self._judged:
            return Verdict()
        log_odds = self._male_log_odds / self._weight / self._variance_left
        male = round(1 / (1 + math.exp(-log_odds)), 4)
        confidence = max(male, round(1 - male, 4))
        likelier: Gender = "male" if male >= 0.5 else "female"
        return Verdict(
            faces_judged=self._judged,
            age_years=round(self._age / self._weight, 1),
            age_interval_years=self._interval(),
            gender=likelier if confidence >= gender_threshold() else "unknown",
            gender_confidence=confidence,
            male_probability=male,
        )

    @property
    def _variance_left(self) -> float:
        """Of one face's error, by the mean of all."""
        equal_faces = self._weight**2 / self._squared_weight
        return SHARED_ERROR + (1 - SHARED_ERROR) / equal_faces

    def _interval(self) -> tuple[float, float] | None:
        if self._widths is None:
            return None
        narrowed = math.sqrt(self._variance_left)
        age_years = self._age / self._weight
        below, above = (narrowed * half_years for half_years in self._widths.mean())
        return round(max(age_years - below, 0.0), 1), round(age_years + above, 1)


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
    if result.unjudged is not None or result.male_probability is not None:
        return result.male_probability
    if result.gender == "unknown":
        return 0.5
    return result.gender_confidence if result.gender == "male" else 1 - result.gender_confidence
