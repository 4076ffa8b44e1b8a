"""What is true of labelled faces, and how their people are split in two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from agegender.commands.evaluate.dataset import Label
from agegender.commands.evaluate.metrics import OPEN_END_YEARS

Floats = NDArray[np.float64]
Chosen = NDArray[np.bool_]
"""Which of the faces are meant, (N,)."""

HALVES = 20


@dataclass(frozen=True)
class LabelledFaces:
    """N faces and what is true of them, (N,) each. Each tool adds what it measured."""

    person: NDArray[np.int64]
    """The person: all faces of one person belong on one side of a split."""
    low_years: Floats
    end_years: Floats
    """Infinite where the label has no end."""
    male: Chosen

    def where(self, chosen: Chosen) -> Self:
        """The chosen faces alone."""
        return type(self)(**{name: values[chosen] for name, values in vars(self).items()})

    @property
    def drawn_end_years(self) -> Floats:
        """Where the span ends that a person of the label is drawn from, as `metrics.coverage` has it."""
        open_end_years = np.maximum(self.low_years + 1, OPEN_END_YEARS)
        return np.where(np.isinf(self.end_years), open_end_years, self.end_years)

    def off_years(self, age_years: Floats) -> Floats:
        """How far the ages lie above the spans of the labels, or below them as negative numbers; 0 inside."""
        above_years = np.clip(age_years - self.end_years, 0, None)
        return above_years - np.clip(self.low_years - age_years, 0, None)

    def covered(self, from_years: Floats, to_years: Floats) -> Floats:
        """The chances, 0 to 1, that intervals hold the ages of people drawn evenly from the labels."""
        end_years = self.drawn_end_years
        inside_years = np.minimum(to_years, end_years) - np.maximum(from_years, self.low_years)
        return np.asarray(np.clip(inside_years, 0, None) / (end_years - self.low_years))


def known(people: Sequence[tuple[int, Label]]) -> LabelledFaces:
    """What the labels say of faces, each given by its person's number and label; genders must be known."""
    return LabelledFaces(
        person=np.array([person for person, _ in people], np.int64),
        low_years=np.array([label.low_years for _, label in people], np.float64),
        end_years=np.array(
            [np.inf if label.end_years is None else label.end_years for _, label in people], np.float64
        ),
        male=np.array([label.gender == "male" for _, label in people], np.bool_),
    )


def halves(person: NDArray[np.int64]) -> Iterator[Chosen]:
    """HALVES random splits of the people in two: which faces, (N,), are those of the first half."""
    people = np.unique(person)
    for seed in range(HALVES):
        yield np.isin(person, np.random.default_rng(seed).permutation(people)[: len(people) // 2])
