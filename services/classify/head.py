"""The head of a pack: turns what the nets read into one age and one gender for each face.

A head is data, made by `tools/packs/fit_head.py` from labelled faces. It begins as a fusion by hand, the
weighted mean of what the nets say. A small layer on the features of net C corrects that. Another one tells
how far off the age is likely to be. `docs/models.md` says what each head was fitted on.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, fields
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from agegender.shared.models import PackName, head_file

Floats = NDArray[np.float32]

MOST_DEVIATIONS, STEP_YEARS = 6.0, 10.0
"""Standardised features are limited to so many deviations. One unit of the output is so many years."""
ERRORS_YEARS = (1.0, 30.0)
"""Expected errors are limited to these."""

# Shares of the age of nets A and C. Divisors of their logits: of nets A and B, and of net C. Most of a logit.
_SHARE_A, _SHARE_C = 0.7, 0.3
_LOGIT_AB, _LOGIT_C, _MOST_LOGIT = 6.0, 4.0, 8.0
_MALE_OFFSET = 0.405
"""Net C's own gender logit is biased by this, the logit of the share of men that it learnt from."""


class Predictions(NamedTuple):
    """The answers for N chips, in the order of the chips, not calibrated yet."""

    age_years: Floats
    """(N,), unbounded: a little below 0 is possible."""
    male_logit: Floats
    """(N,): the logit of male. `calibration` corrects its confidence."""
    error_years: Floats
    """(N,): how far off the age is expected to be, on average over faces of that kind; for `calibration`."""


class Fused(NamedTuple):
    """The answers for N chips before a head corrects them, (N,) each."""

    age_years: Floats
    male_logit: Floats


class Readings(NamedTuple):
    """What the nets read from N chips."""

    age_a_years: Floats
    """(N,), of net A; not a number where a pack does without it."""
    logit_a: Floats
    """(N,), male minus female, of net A; 0 where a pack does without it."""
    logit_b: Floats
    """(N,), of net B; 0 where a pack does without it."""
    features_c: Floats
    """(N, 1024), of net C."""


class Said(NamedTuple):
    """What the members of a head correct, and what they know of N faces."""

    features_c: Floats
    scalars: Floats
    """(N, 5); see `scalars`."""
    by_hand: Fused


@dataclass(frozen=True)
class PublishedHeads:
    """Net C's own answers from its features, as published: 256 hidden units, then 100 ages and one logit."""

    hidden_weights: Floats
    """(1024, 256)."""
    hidden_bias: Floats
    age_weights: Floats
    """(256, 100), for the ages 1 to 100."""
    age_bias: Floats
    gender_weights: Floats
    """(256, 1)."""
    gender_bias: Floats

    def read(self, features_c: Floats) -> tuple[Floats, Floats]:
        """The expected age in years, and the male logit, (N,) each."""
        hidden = np.maximum(features_c @ self.hidden_weights + self.hidden_bias, 0)
        logits = hidden @ self.age_weights + self.age_bias
        likelihood = np.exp(logits - logits.max(axis=1, keepdims=True))
        likelihood /= likelihood.sum(axis=1, keepdims=True)
        ages_years = np.arange(1, 101, dtype=np.float32)
        male_logit = (hidden @ self.gender_weights + self.gender_bias)[:, 0] - np.float32(_MALE_OFFSET)
        return likelihood @ ages_years, male_logit


@dataclass(frozen=True)
class Members:
    """M small networks of one hidden layer, fitted with other seeds or to other people."""

    mean: Floats
    """(M, 1024): of the features of net C, in the faces that a member was fitted to."""
    deviation: Floats
    """(M, 1024), likewise."""
    hidden_weights: Floats
    """(M, 1029, H): for the features, then the five scalars of `scalars`."""
    hidden_bias: Floats
    """(M, H)."""
    output_weights: Floats
    """(M, H, K), for K outputs."""
    skip_weights: Floats
    """(M, 5, K): from the scalars straight to the output."""
    output_bias: Floats
    """(M, K)."""

    def outputs(self, said: Said) -> Floats:
        """The mean output of all members, (N, K)."""
        features_c, scalars, _ = said
        total = np.zeros((len(scalars), self.output_bias.shape[1]), np.float32)
        for member in range(len(self.mean)):
            known = np.concatenate([self.standardised(member, features_c), scalars], axis=1)
            hidden = np.maximum(known @ self.hidden_weights[member] + self.hidden_bias[member], 0)
            total += hidden @ self.output_weights[member] + scalars @ self.skip_weights[member]
            total += self.output_bias[member]
        return total / np.float32(len(self.mean))

    def standardised(self, member: int, features_c: Floats) -> Floats:
        """The features in deviations from their mean, limited to MOST_DEVIATIONS."""
        return standardised(features_c, self.mean[member], self.deviation[member])


@dataclass(frozen=True)
class Head:
    """The three parts of a head's file."""

    published: PublishedHeads
    members: Members
    """Their outputs: the correction of the age in steps of ten years, and that of the male logit."""
    errors: Members
    """Their output: the logarithm of the expected error of the age in years."""

    def predict(self, readings: Readings) -> Predictions:
        """The answers for N faces."""
        said = what_nets_say(self.published, readings)
        log_error = self.errors.outputs(said)[:, 0]
        error_years = np.exp(np.clip(log_error, *np.log(ERRORS_YEARS))).astype(np.float32)
        return Predictions(*corrected(said, self.members), error_years)

    def to_bytes(self) -> bytes:
        """The file: an archive of arrays, weights in float16. The same head gives the same bytes."""
        arrays = {f"published.{name}": np.float16(value) for name, value in vars(self.published).items()}
        for part, members in (("members", self.members), ("errors", self.errors)):
            for name, value in vars(members).items():
                kept = name in {"mean", "deviation"}
                arrays[f"{part}.{name}"] = value if kept else np.float16(value)
        file = io.BytesIO()
        np.savez_compressed(file, allow_pickle=False, **arrays)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Reads a file of `to_bytes`.

        Raises:
            ValueError: it is no such file.
        """
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: np.asarray(file[name], np.float32) for name in file.files}
        parts = {
            part: {field.name: arrays[f"{part}.{field.name}"] for field in fields(kind)}
            for part, kind in (("published", PublishedHeads), ("members", Members), ("errors", Members))
        }
        return cls(
            PublishedHeads(**parts["published"]), Members(**parts["members"]), Members(**parts["errors"])
        )


def load_head(pack: PackName) -> Head:
    """The head of `pack`.

    Raises:
        WeightsError: its file is missing, or differs from the one in the manifest.
    """
    return Head.from_bytes(head_file(pack).read_bytes())


def what_nets_say(published: PublishedHeads, readings: Readings) -> Said:
    """The inputs of all members."""
    age_c_years, logit_c = published.read(readings.features_c)
    readings = with_age(readings, age_c_years)
    return Said(
        readings.features_c,
        scalars(readings, age_c_years, logit_c),
        fused_by_hand(readings, age_c_years, logit_c),
    )


def corrected(said: Said, members: Members) -> Fused:
    """The answers fused by hand, with the corrections of `members`."""
    correction = members.outputs(said)
    return Fused(
        said.by_hand.age_years + np.float32(STEP_YEARS) * correction[:, 0],
        said.by_hand.male_logit + correction[:, 1],
    )


def with_age(readings: Readings, age_c_years: Floats) -> Readings:
    """The readings with the age of net C in place of that of net A, where there is none."""
    age_years = np.where(np.isnan(readings.age_a_years), age_c_years, readings.age_a_years)
    return readings._replace(age_a_years=age_years)


def fused_by_hand(readings: Readings, age_c_years: Floats, logit_c: Floats) -> Fused:
    """The weighted mean of the ages, and the sum of the tempered logits: where every head begins."""
    age_years = np.float32(_SHARE_A) * readings.age_a_years + np.float32(_SHARE_C) * age_c_years
    male_logit = sum(
        np.clip(logit / np.float32(divisor), -_MOST_LOGIT, _MOST_LOGIT)
        for logit, divisor in (
            (readings.logit_a, _LOGIT_AB),
            (readings.logit_b, _LOGIT_AB),
            (logit_c, _LOGIT_C),
        )
    )
    return Fused(age_years, np.asarray(male_logit, np.float32))


def scalars(readings: Readings, age_c_years: Floats, logit_c: Floats) -> Floats:
    """What the nets say, (N, 5), scaled to about -1 to 1: ages of A and C, logits of A, B and C."""
    logits = np.stack([readings.logit_a, readings.logit_b], axis=1)
    ages = np.stack([readings.age_a_years, age_c_years], axis=1)
    return np.concatenate(
        [
            (ages - 35) / 25,
            np.clip(logits, -48, 48) / 24,
            (np.clip(logit_c, -_MOST_LOGIT, _MOST_LOGIT) / 4)[:, np.newaxis],
        ],
        axis=1,
        dtype=np.float32,
    )


def standardised(features_c: Floats, mean: Floats, deviation: Floats) -> Floats:
    """The features in deviations from their mean, limited to MOST_DEVIATIONS."""
    return np.asarray(np.clip((features_c - mean) / deviation, -MOST_DEVIATIONS, MOST_DEVIATIONS), np.float32)
