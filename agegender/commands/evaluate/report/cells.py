"""Figures as short texts, the same on the terminal and in Markdown, and what each figure means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agegender.commands.evaluate.bootstrap import LEAST_FACES, Estimate
from agegender.commands.evaluate.metrics import OPEN_END_YEARS, Evaluation, Scores
from agegender.commands.evaluate.paired import Difference, Differences

NOTHING = "-"
FITTED = "This pack was fitted to these very labels: the figures are better than on other people."
CLEAR = "*"


@dataclass(frozen=True)
class Columns:
    """A kind of table: what it is about and its columns."""

    title: str
    names: Sequence[str]


AGES = Columns("Ages", ("faces", "error", "median", "CS@5", "bias", "width", "holds"))
GENDERS = Columns("Genders", ("faces", "right", "unknown", "likelier right"))
AGE_DIFFERENCES = Columns("Ages", ("faces", "A", "B", "B - A", "CS@5 B - A", "width", "holds"))
GENDER_DIFFERENCES = Columns("Genders", ("faces", "A", "B", "B - A", "unknown B - A"))


def age_cells(scores: Scores) -> Sequence[str]:
    """A row under AGES."""
    return (
        f"{scores.classified}",
        _years(scores.age_error_years),
        NOTHING if scores.age_median_years is None else f"{scores.age_median_years.value:.1f}",
        _share(scores.age_close),
        NOTHING if scores.age_bias_years is None else f"{scores.age_bias_years.value:+.1f}",
        NOTHING if scores.interval_years is None else f"{scores.interval_years:.1f}",
        _share(scores.covered),
    )


def gender_cells(scores: Scores) -> Sequence[str]:
    """A row under GENDERS."""
    return (
        f"{scores.classified}",
        _share(scores.gender_right, 1),
        NOTHING if scores.gender_unknown is None else f"{scores.gender_unknown * 100:.0f} %",
        _share(scores.likelier_right, 1),
    )


def age_difference_cells(found: Differences) -> Sequence[str]:
    """A row under AGE_DIFFERENCES."""
    error, close, width, holds = found.age_error_years, found.age_close, found.interval_years, found.covered
    return (
        f"{found.faces}",
        NOTHING if error is None else f"{error.a:.2f}",
        NOTHING if error is None else f"{error.b:.2f}",
        _difference(error, 1.0, 2),
        _difference(close, 100.0, 1),
        NOTHING if width is None else f"{width.difference.value:+.1f}",
        NOTHING if holds is None else f"{holds.difference.value * 100:+.1f}",
    )


def gender_difference_cells(found: Differences) -> Sequence[str]:
    """A row under GENDER_DIFFERENCES."""
    right, unknown = found.likelier_right, found.gender_unknown
    return (
        f"{found.faces}",
        NOTHING if right is None else f"{right.a * 100:.1f} %",
        NOTHING if right is None else f"{right.b * 100:.1f} %",
        _difference(right, 100.0, 1),
        NOTHING if unknown is None else f"{unknown.difference.value * 100:+.1f}",
    )


def accounts(found: Evaluation) -> str:
    """What became of every picture, in one sentence."""
    unclassified = "".join(f", {number} {why}" for why, number in sorted(found.unclassified.items()))
    return (
        f"{found.pictures} pictures: {found.overall.classified} faces classified{unclassified}, "
        f"{found.missed} without a face, {len(found.unreadable)} not readable"
    )


def exact_error(scores: Scores) -> str | None:
    """The error as other publications count it; None if no label names one year."""
    if scores.exact_error_years is None:
        return None
    return (
        "Mean absolute error against exact ages, as published figures count: "
        f"{_years(scores.exact_error_years, 2)} years"
    )


AGE_NOTES = (
    "error: mean distance in years from the age read to the span of the label; 0 inside. An age is a span "
    "too: it lasts until the next birthday. So the error is up to half a year less than against exact ages.",
    "median: of the same distances. CS@5: share of the faces with an error of at most 5 years.",
    "bias: the mean error with its sign; above 0, ages are read too high.",
    "width: of the age intervals, mean, in years. holds: share of the intervals that hold the true age; "
    "80 % are promised. A label that is a span stands for a person drawn evenly from it; one without an end "
    f"is taken to end at {OPEN_END_YEARS:.0f}.",
)
GENDER_NOTES = (
    "right: of the faces that got a gender. unknown: share of the classified faces without one. likelier "
    "right: when the likelier gender is taken for each classified face.",
)
COMMON_NOTES = (
    "±: half of the interval that holds 95 of 100 bootstrap samples of the faces. There is none for fewer "
    f"than {LEAST_FACES} faces, and none where all are alike.",
    "Faces too small or too blurred to classify are counted at the top and nowhere else.",
    "By age read is what a user sees; by true age is what happens to people of that age.",
)
DIFFERENCE_NOTES = (
    "A, B: mean age error in years, or the share for which the likelier gender is right, over the faces that "
    "both classified. B - A: its mean difference, face by face, in years or percentage points.",
    f"{CLEAR}: the interval of the difference lies on one side of 0. Of 20 such marks, one is chance.",
    "width, holds: differences of the mean width in years, and of the share that holds the age in points.",
)


def _years(value: Estimate | None, digits: int = 1) -> str:
    return _with_margin(value, 1.0, digits, "")


def _share(value: Estimate | None, digits: int = 0) -> str:
    return _with_margin(value, 100.0, digits, " %")


def _with_margin(value: Estimate | None, scale: float, digits: int, unit: str) -> str:
    if value is None:
        return NOTHING
    margin = "" if value.margin is None else f" ± {value.margin * scale:.{digits}f}"
    return f"{value.value * scale:.{digits}f}{margin}{unit}"


def _difference(found: Difference | None, scale: float, digits: int) -> str:
    if found is None:
        return NOTHING
    margin = found.difference.margin
    spread = "" if margin is None else f" ± {margin * scale:.{digits}f}"
    return f"{found.difference.value * scale:+.{digits}f}{spread}{' ' + CLEAR if found.is_clear else ''}"
