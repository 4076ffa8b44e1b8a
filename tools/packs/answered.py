"""What the packs, and other ways to read faces, answer for people that no part of them was fitted to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agegender.services.classify.calibration import Calibration
from agegender.services.classify.head import Head
from agegender.shared.models import PackName
from tools.calibration.labelled_faces import Floats
from tools.packs.calibrate import half_calibration, unseen
from tools.packs.faces import ReadFaces
from tools.packs.fit_head import Recipe, half_file

CHILD_YEARS = 10.0
_OPEN_END_YEARS = 80.0
_DECADES = ((0, 10), (10, 20), (20, 30), (30, 40), (40, 50), (50, 60), (60, 70), (70, 200))
Chosen = NDArray[np.bool_]


@dataclass(frozen=True)
class Answered:
    """N faces with the answers of one way, (N,) each. The last four are empty without a calibration."""

    faces: ReadFaces
    age_years: Floats
    male: Chosen
    """The likelier gender."""
    from_years: Floats
    to_years: Floats
    confidence: Floats
    named: Chosen
    """Whether the gender is not `unknown`."""

    def where(self, chosen: Chosen) -> Answered:
        """Some of the faces."""
        rest = {name: value for name, value in vars(self).items() if name != "faces"}
        return Answered(
            self.faces.where(chosen),
            **{name: value[chosen] if len(value) else value for name, value in rest.items()},
        )

    @property
    def middle_years(self) -> Floats:
        """The middle of the span of each label."""
        end_years = np.where(np.isinf(self.faces.end_years), _OPEN_END_YEARS, self.faces.end_years)
        return np.asarray((self.faces.low_years + end_years) / 2)

    @property
    def off_years(self) -> Floats:
        """How far off each age is: from the middle of a label of one year, else from the span."""
        if np.all(self.faces.end_years - self.faces.low_years <= 1):
            return np.asarray(np.abs(self.age_years - self.middle_years))
        return np.asarray(np.abs(self.faces.off_years(self.age_years)))

    @property
    def right(self) -> Floats:
        """1 where the likelier gender is right, else 0."""
        return np.asarray(self.male == self.faces.male, np.float64)

    @property
    def holds(self) -> Floats:
        """The chance that the interval holds the age, (N,)."""
        return self.faces.covered(self.from_years, self.to_years)


def nets_alone(faces: ReadFaces) -> Answered:
    """Net A's age, and the sum of the logits of A and B, over the face and its mirror image."""
    outputs = {
        name: (vars(faces)[f"upright_{name}"] + vars(faces)[f"mirrored_{name}"]) / 2 for name in ("a", "b")
    }
    logit = outputs["a"][:, 1] - outputs["a"][:, 2] + outputs["b"][:, 1] - outputs["b"][:, 0]
    return _uncalibrated(faces, np.clip(outputs["a"][:, 0], 0, None).astype(np.float64), logit > 0)


def by_recipe(name: str, recipe: Recipe, faces: ReadFaces, readings: Path) -> Answered:
    """The raw answers of heads fitted to the other half of the people."""
    age_years, male = np.empty(len(faces.person)), np.empty(len(faces.person), np.bool_)
    for half in (0, 1):
        there = faces.half == half
        head = Head.from_bytes(half_file(readings, name, 1 - half).read_bytes())
        read = head.predict(faces.where(there).readings(recipe.nets, mirrored=recipe.mirrored))
        age_years[there], male[there] = read.age_years, read.male_logit > 0
    return _uncalibrated(faces, age_years, male)


def by_pack(pack: PackName, faces: ReadFaces, readings: Path) -> Answered:
    """The answers of `pack` with heads and calibrations fitted to the other half of the people."""
    count = len(faces.person)
    age_years, from_years, to_years, confidence = (np.empty(count) for _ in range(4))
    male, named = np.empty(count, np.bool_), np.empty(count, np.bool_)
    for half in (0, 1):
        there = faces.where(faces.half == half)
        text = half_calibration(readings, pack, 1 - half).read_text(encoding="utf-8")
        calibration = Calibration.model_validate_json(text)
        rows = zip(*unseen(pack, there, half, readings), there.quality, there.turn, strict=True)
        for number, row in zip(np.flatnonzero(faces.half == half), rows, strict=True):
            one = calibration.classify(*(float(value) for value in row))
            age_years[number], (from_years[number], to_years[number]) = one.age_years, one.interval_years
            male[number], named[number] = one.male_probability >= 0.5, one.gender != "unknown"
            confidence[number] = one.gender_confidence
    return Answered(faces, age_years, male, from_years, to_years, confidence, named)


def groups(way: Answered) -> Iterator[tuple[str, Chosen]]:
    """The groups that promises are made for."""
    faces = way.faces
    for low, end in _DECADES:
        yield f"true age {low} to {end}", (faces.low_years >= low) & (faces.low_years < end)
    for low, end in _DECADES:
        yield f"age read {low} to {end}", (way.age_years >= low) & (way.age_years < end)
    yield "women", ~faces.male
    yield "men", faces.male
    yield "boys under 10", faces.male & (faces.low_years < CHILD_YEARS)
    yield "girls under 10", ~faces.male & (faces.low_years < CHILD_YEARS)
    yield "women over 60", ~faces.male & (faces.low_years >= 60)
    yield "men over 60", faces.male & (faces.low_years >= 60)
    yield "quality under 0.9", faces.quality < 0.9
    yield "under 100 px", faces.height_px < 100
    yield "turned by 0.4 and more", faces.turn >= 0.4


def _uncalibrated(faces: ReadFaces, age_years: Floats, male: Chosen) -> Answered:
    nothing = np.empty(0)
    return Answered(faces, age_years, male, nothing, nothing, nothing, np.empty(0, np.bool_))
