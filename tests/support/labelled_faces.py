"""Labels and answers made up for tests of `agegender evaluate`."""

from __future__ import annotations

from pathlib import Path

from agegender.commands.evaluate.answers import Answer
from agegender.commands.evaluate.dataset import Label, TrueGender
from agegender.shared.messages.pipeline import Gender

TOO_SMALL = Answer(None, face_px=20.0, unclassified="too-small")


def label(
    low: float, end: float | None, gender: TrueGender | None = "female", name: str = "a.jpg", **cells: str
) -> Label:
    """A label from `low` to `end`, with these further columns."""
    return Label(Path(name), low, end, gender, {"file": name, **cells})


def answer(
    age_years: float,
    interval: tuple[float, float] | None = None,
    gender: Gender = "female",
    male: float = 0.2,
    height: float = 100.0,
) -> Answer:
    """The answer for a face of this height."""
    return Answer(age_years, interval, gender, male, height)
