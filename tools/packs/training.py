"""Trains the members of a head with NumPy: plain backpropagation, the same numbers each time.

The loss is (distance to the span of the label + 0.3 * distance to its middle) / 6 + cross-entropy of the
gender. Under three years, a gender counts a third. AdamW updates the weights; its rate rises and falls once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agegender.services.classify.head import (
    STEP_YEARS,
    Floats,
    Members,
    PublishedHeads,
    Readings,
    fused_by_hand,
    scalars,
    standardised,
    with_age,
)

_HIDDEN = 96
_BATCH = 128
_DROPPED_FEATURES, _DROPPED_HIDDEN = 0.5, 0.3
_RATE, _RISING = 2e-3, 0.25
_DECAY = 0.02
_MOMENTUM, _SPREAD, _TINY = 0.9, 0.999, 1e-7
_MIDDLE, _YEARS = 0.3, 6.0
_BABY_YEARS, _BABY_GENDER = 3.0, 1 / 3


@dataclass(frozen=True)
class Lessons:
    """N faces to learn from."""

    readings: Readings
    low_years: Floats
    end_years: Floats
    """Finite: open labels have an end too."""
    male: Floats
    """1 for male, 0 for female."""
    weight: Floats


@dataclass(frozen=True)
class Course:
    """How a head is trained."""

    epochs: int
    fits_age: bool
    """Whether the age is corrected too; else it stays the one fused by hand."""


def train(lessons: Lessons, published: PublishedHeads, course: Course, seed: int) -> Members:
    """One member, fitted to `lessons`."""
    features = lessons.readings.features_c
    mean, deviation = features.mean(axis=0), features.std(axis=0) + np.float32(1e-3)
    age_c_years, logit_c = published.read(features)
    readings = with_age(lessons.readings, age_c_years)
    first = fused_by_hand(readings, age_c_years, logit_c)
    known = standardised(features, mean, deviation)
    said = scalars(readings, age_c_years, logit_c)
    rng = np.random.default_rng(seed)
    network = _Network(rng, known.shape[1], said.shape[1])
    if not course.fits_age:
        network.parameters[2][:, 0] = 0
    count = len(known)
    steps = course.epochs * -(-count // _BATCH)
    weight = lessons.weight / lessons.weight.mean()
    step = 0
    for _ in range(course.epochs):
        order = rng.permutation(count)
        for start in range(0, count, _BATCH):
            chosen = order[start : start + _BATCH]
            step += 1
            output = network.forward(rng, known[chosen], said[chosen])
            slope = _slope(
                first.age_years[chosen] + np.float32(STEP_YEARS) * output[:, 0],
                first.male_logit[chosen] + output[:, 1],
                lessons,
                chosen,
            )
            if not course.fits_age:
                slope[:, 0] = 0
            slope *= (weight[chosen] / len(chosen))[:, np.newaxis]
            network.learn(slope.astype(np.float32), step, _rate(step / steps))
    hidden_weights, hidden_bias, output_weights, skip_weights, output_bias = network.parameters
    return Members(
        mean=mean[np.newaxis],
        deviation=deviation[np.newaxis],
        hidden_weights=hidden_weights[np.newaxis],
        hidden_bias=hidden_bias[np.newaxis],
        output_weights=output_weights[np.newaxis],
        skip_weights=skip_weights[np.newaxis],
        output_bias=output_bias[np.newaxis],
    )


def together(members: Sequence[Members]) -> Members:
    """Several members as one mean."""
    return Members(
        **{name: np.concatenate([vars(one)[name] for one in members]) for name in vars(members[0])}
    )


def _slope(age_years: Floats, logit: Floats, lessons: Lessons, chosen: NDArray[np.int64]) -> Floats:
    """The derivative of the loss by the two outputs, (N, 2)."""
    low_years, end_years = lessons.low_years[chosen], lessons.end_years[chosen]
    middle_years = (low_years + end_years) / 2
    outside = (age_years > end_years).astype(np.float32) - (age_years < low_years)
    age = (outside + _MIDDLE * np.sign(age_years - middle_years)) / _YEARS * STEP_YEARS
    counts = np.where(middle_years < _BABY_YEARS, _BABY_GENDER, 1.0)
    gender = counts * (1 / (1 + np.exp(-logit)) - lessons.male[chosen])
    return np.stack([age, gender], axis=1).astype(np.float32)


def _rate(done: float) -> float:
    """The rate of learning after the share `done` of all steps: up in a line, down in a cosine."""
    if done < _RISING:
        return _RATE * done / _RISING
    return float(_RATE / 2 * (1 + np.cos(np.pi * (done - _RISING) / (1 - _RISING))))


class _Network:
    """The weights of one member with their moments, and the values of the last forward pass."""

    def __init__(self, rng: np.random.Generator, features: int, scalar_count: int) -> None:
        inputs = features + scalar_count
        self.parameters: list[Floats] = [
            rng.normal(0, inputs**-0.5, (inputs, _HIDDEN)).astype(np.float32),
            np.zeros(_HIDDEN, np.float32),
            rng.normal(0, 0.01, (_HIDDEN, 2)).astype(np.float32),
            np.zeros((scalar_count, 2), np.float32),
            np.zeros(2, np.float32),
        ]
        self._moments = [np.zeros_like(one) for one in self.parameters]
        self._squares = [np.zeros_like(one) for one in self.parameters]

    def forward(self, rng: np.random.Generator, known: Floats, said: Floats) -> Floats:
        """The output for N faces, (N, 2), some features and hidden units dropped."""
        kept = _kept(rng, known.shape, _DROPPED_FEATURES)
        self._said = said
        self._inputs = np.concatenate([known * kept, said], axis=1)
        hidden_weights, hidden_bias, output_weights, skip_weights, output_bias = self.parameters
        before = self._inputs @ hidden_weights + hidden_bias
        self._passes = _kept(rng, before.shape, _DROPPED_HIDDEN) * (before > 0)
        self._hidden = before * self._passes
        output: Floats = self._hidden @ output_weights + said @ skip_weights + output_bias
        return output

    def learn(self, slope: Floats, step: int, rate: float) -> None:
        """One update of AdamW, from the derivative of the loss by the output."""
        back = (slope @ self.parameters[2].T) * self._passes
        gradients = [
            self._inputs.T @ back,
            back.sum(axis=0),
            self._hidden.T @ slope,
            self._said.T @ slope,
            slope.sum(axis=0),
        ]
        decays = (_DECAY, 0.0, _DECAY, 0.0, 0.0)
        for index, (gradient, decay) in enumerate(zip(gradients, decays, strict=True)):
            moment = self._moments[index] = _MOMENTUM * self._moments[index] + (1 - _MOMENTUM) * gradient
            square = self._squares[index] = _SPREAD * self._squares[index] + (1 - _SPREAD) * gradient**2
            change = moment / (1 - _MOMENTUM**step) / (np.sqrt(square / (1 - _SPREAD**step)) + _TINY)
            shrunk = self.parameters[index] * (1 - rate * decay)
            self.parameters[index] = (shrunk - rate * change).astype(np.float32)


def _kept(rng: np.random.Generator, shape: tuple[int, ...], dropped: float) -> Floats:
    """Factors that drop a share of the values, and raise the others so that the mean stays."""
    kept = rng.random(shape, dtype=np.float32) > dropped
    return np.asarray(kept / np.float32(1 - dropped), np.float32)
