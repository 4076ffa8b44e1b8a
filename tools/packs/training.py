"""Trains the members of a head with NumPy: plain backpropagation, the same numbers each time.

The loss of age and gender is (distance to the span of the label + 0.3 * distance to its middle) / 6 +
cross-entropy of the gender. Under three years, a gender counts a third. The loss of the expected error e of
a face that is off by d is d / e + log(e): least where e is the mean of d (Laplace's distribution). AdamW
updates the weights; its rate rises and falls once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from agegender.services.classify.head import (
    ERRORS_YEARS,
    STEP_YEARS,
    Floats,
    Members,
    PublishedHeads,
    Readings,
    standardised,
    what_nets_say,
)

_BATCH = 128
_RATE, _RISING = 2e-3, 0.25
_MOMENTUM, _SPREAD, _TINY = 0.9, 0.999, 1e-7
_MIDDLE, _YEARS = 0.3, 6.0
_BABY_YEARS, _BABY_GENDER = 3.0, 1 / 3
_FIRST_ERROR_YEARS = 5.0

Slope = Callable[[Floats, NDArray[np.int64]], Floats]
"""The derivative of the loss by the outputs, (n, K), from the outputs and the numbers of n faces."""


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
    copied: NDArray[np.bool_]
    """Whether the face is a smaller or blurred copy."""
    person: NDArray[np.int64]

    def where(self, chosen: NDArray[np.bool_]) -> Lessons:
        """Some of the faces."""
        rest = {name: value[chosen] for name, value in vars(self).items() if name != "readings"}
        return Lessons(Readings(*(column[chosen] for column in self.readings)), **rest)


@dataclass(frozen=True)
class Course:
    """How a head is trained."""

    epochs: int
    fits_age: bool
    """Whether the age is corrected too; else it stays the one fused by hand."""
    error_epochs: int = 8
    """0: the expected error is the same for all faces."""


@dataclass(frozen=True)
class _Shape:
    """What a network looks like, and how it is held back from learning by heart."""

    outputs: int
    hidden: int
    dropped_features: float
    dropped_hidden: float
    decay: float


_ANSWERS = _Shape(2, hidden=96, dropped_features=0.5, dropped_hidden=0.3, decay=0.02)
_ERRORS = _Shape(1, hidden=16, dropped_features=0.7, dropped_hidden=0.3, decay=0.05)


def train(lessons: Lessons, published: PublishedHeads, course: Course, seed: int) -> Members:
    """One member that corrects age and gender, fitted to `lessons`."""
    pupil = _Pupil(lessons, published, _ANSWERS, seed)
    first = pupil.by_hand

    def slope(output: Floats, chosen: NDArray[np.int64]) -> Floats:
        age_years = first.age_years[chosen] + np.float32(STEP_YEARS) * output[:, 0]
        slopes = _slope(age_years, first.male_logit[chosen] + output[:, 1], lessons, chosen)
        if not course.fits_age:
            slopes[:, 0] = 0
        return slopes

    if not course.fits_age:
        pupil.network.parameters[2][:, 0] = 0
    return pupil.learn(slope, course.epochs)


def train_errors(
    lessons: Lessons, published: PublishedHeads, course: Course, off_years: Floats, seed: int
) -> Members:
    """One member that tells the expected error.

    Args:
        lessons: their labels do not matter.
        published: the heads of net C.
        course: its `error_epochs` count.
        off_years: (N,), how far off each face was read by a head that did not learn from it.
        seed: of the first weights, the order and what is dropped.
    """
    pupil = _Pupil(lessons, published, _ERRORS, seed)
    pupil.network.parameters[2][:] = 0
    pupil.network.parameters[4][:] = np.log(_FIRST_ERROR_YEARS)
    least, most = np.log(ERRORS_YEARS)

    def slope(output: Floats, chosen: NDArray[np.int64]) -> Floats:
        expected_years = np.exp(np.clip(output[:, 0], least, most))
        return np.asarray((1 - off_years[chosen] / expected_years)[:, np.newaxis], np.float32)

    return pupil.learn(slope, course.error_epochs)


def off_years(age_years: Floats, lessons: Lessons) -> Floats:
    """How far off ages are, (N,): the mean over people drawn evenly from the span of the label."""
    half_years = (lessons.end_years - lessons.low_years) / 2
    distance = np.abs(age_years - lessons.low_years - half_years)
    inside = (distance**2 + half_years**2) / (2 * half_years)
    return np.asarray(np.where(distance < half_years, inside, distance), np.float32)


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
    gender = counts * ~lessons.copied[chosen] * (1 / (1 + np.exp(-logit)) - lessons.male[chosen])
    return np.stack([age, gender], axis=1).astype(np.float32)


def _rate(done: float) -> float:
    """The rate of learning after the share `done` of all steps: up in a line, down in a cosine."""
    if done < _RISING:
        return _RATE * done / _RISING
    return float(_RATE / 2 * (1 + np.cos(np.pi * (done - _RISING) / (1 - _RISING))))


class _Pupil:
    """A network with the inputs of its lessons."""

    def __init__(self, lessons: Lessons, published: PublishedHeads, shape: _Shape, seed: int) -> None:
        features, self._scalars, self.by_hand = what_nets_say(published, lessons.readings)
        self._mean, self._deviation = features.mean(axis=0), features.std(axis=0) + np.float32(1e-3)
        self._known = standardised(features, self._mean, self._deviation)
        self._weight = lessons.weight / lessons.weight.mean()
        self._rng = np.random.default_rng(seed)
        self.network = _Network(self._rng, self._known.shape[1], self._scalars.shape[1], shape)

    def learn(self, slope: Slope, epochs: int) -> Members:
        """Goes through all lessons `epochs` times; the network as a member."""
        count = len(self._known)
        steps = epochs * -(-count // _BATCH)
        step = 0
        for _ in range(epochs):
            order = self._rng.permutation(count)
            for start in range(0, count, _BATCH):
                chosen = order[start : start + _BATCH]
                step += 1
                output = self.network.forward(self._rng, self._known[chosen], self._scalars[chosen])
                slopes = slope(output, chosen) * (self._weight[chosen] / len(chosen))[:, np.newaxis]
                self.network.learn(slopes.astype(np.float32), step, _rate(step / steps))
        hidden_weights, hidden_bias, output_weights, skip_weights, output_bias = self.network.parameters
        return Members(
            mean=self._mean[np.newaxis],
            deviation=self._deviation[np.newaxis],
            hidden_weights=hidden_weights[np.newaxis],
            hidden_bias=hidden_bias[np.newaxis],
            output_weights=output_weights[np.newaxis],
            skip_weights=skip_weights[np.newaxis],
            output_bias=output_bias[np.newaxis],
        )


class _Network:
    """The weights of one member with their moments, and the values of the last forward pass."""

    def __init__(self, rng: np.random.Generator, features: int, scalar_count: int, shape: _Shape) -> None:
        self._shape = shape
        inputs = features + scalar_count
        self.parameters: list[Floats] = [
            rng.normal(0, inputs**-0.5, (inputs, shape.hidden)).astype(np.float32),
            np.zeros(shape.hidden, np.float32),
            rng.normal(0, 0.01, (shape.hidden, shape.outputs)).astype(np.float32),
            np.zeros((scalar_count, shape.outputs), np.float32),
            np.zeros(shape.outputs, np.float32),
        ]
        self._moments = [np.zeros_like(one) for one in self.parameters]
        self._squares = [np.zeros_like(one) for one in self.parameters]

    def forward(self, rng: np.random.Generator, known: Floats, said: Floats) -> Floats:
        """The outputs for N faces, (N, K), some features and hidden units dropped."""
        kept = _kept(rng, known.shape, self._shape.dropped_features)
        self._said = said
        self._inputs = np.concatenate([known * kept, said], axis=1)
        hidden_weights, hidden_bias, output_weights, skip_weights, output_bias = self.parameters
        before = self._inputs @ hidden_weights + hidden_bias
        self._passes = _kept(rng, before.shape, self._shape.dropped_hidden) * (before > 0)
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
        decay = self._shape.decay
        decays = (decay, 0.0, decay, 0.0, 0.0)
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
