"""What labelled faces say of the answers: errors, coverage, and how often nothing was said.

The age error is the distance in years from the age read to the span of the label, which lasts until the next
birthday. A label stands for a person drawn evenly from its span; that of `70 and over` is taken to end at
OPEN_END_YEARS.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from agegender.commands.evaluate.answers import Answer, Classified
from agegender.commands.evaluate.bootstrap import Bootstrap, Estimate
from agegender.commands.evaluate.dataset import Label
from agegender.commands.evaluate.groups import (
    BY_AGE_READ,
    BY_GENDER,
    BY_SIZE,
    BY_TRUE_AGE,
    TRUE_BANDS,
    Pair,
    Split,
    read_band,
    true_band,
)
from agegender.shared.messages.pipeline import AGE_BANDS

OPEN_END_YEARS = 85.0
CLOSE_YEARS = 5.0
"""The cumulative score CS@5 counts errors of at most this."""


@dataclass(frozen=True)
class Scores:
    """Some labelled faces, added up. Shares are 0 to 1; None where there is nothing to take the mean of."""

    faces: int
    """Pictures in which a face was found."""
    classified: int
    """Of these, the faces that were neither too small nor too blurred; all that follows is about them."""
    age_error_years: Estimate | None
    age_median_years: Estimate | None
    """The median of the age errors."""
    age_close: Estimate | None
    """CS@5: the share with an age error of at most CLOSE_YEARS."""
    age_bias_years: Estimate | None
    """The mean error with its sign: above 0, ages are read too high."""
    exact_error_years: Estimate | None
    """Mean distance to the middle of the labelled year, over the labels that name one year."""
    interval_years: float | None
    """Mean width of the intervals."""
    covered: Estimate | None
    """Share of the intervals that hold the true age."""
    gender_right: Estimate | None
    """Share that is right among the faces that got a gender."""
    gender_unknown: float | None
    """Share that got `unknown`."""
    likelier_right: Estimate | None
    """Share for which the likelier gender is right, whether it was named or not."""


@dataclass(frozen=True)
class Evaluation:
    """All figures of a labelled dataset."""

    pictures: int
    missed: int
    """Pictures in which no face was found."""
    unreadable: Mapping[str, str]
    """File, as the labels name it → reason."""
    unclassified: Mapping[str, int]
    """Reason → faces."""
    overall: Scores
    groups: Mapping[str, Mapping[str, Scores]]
    """What the faces are split by → group → figures: by the age of the label, the age read (all that a user
    knows), gender, height of the face, and the chosen columns of the labels."""
    confusion: Sequence[Sequence[int]]
    """Classified faces: a row for each of TRUE_BANDS, a column for each of AGE_BANDS."""


def evaluated(classified: Iterable[Classified], splits: Sequence[Split] = ()) -> Evaluation:
    """The figures of everything that was classified, split by `splits` too."""
    everything = list(classified)
    pairs = [(one.label, one.answer) for one in everything if one.answer is not None]
    cells = Counter((true_band(label), read_band(answer)) for label, answer in pairs)
    return Evaluation(
        pictures=len(everything),
        missed=sum(one.answer is None and one.problem is None for one in everything),
        unreadable={one.label.name: one.problem for one in everything if one.problem is not None},
        unclassified=dict(Counter(one.unclassified for _, one in pairs if one.unclassified is not None)),
        overall=scores(pairs),
        groups={
            split.title: {
                name: scores([pairs[at] for at in positions])
                for name, positions in split.parts(pairs).items()
            }
            for split in (BY_TRUE_AGE, BY_AGE_READ, BY_GENDER, BY_SIZE, *splits)
        },
        confusion=[[cells[true, read] for read in AGE_BANDS] for true in TRUE_BANDS],
    )


def scores(pairs: Sequence[Pair]) -> Scores:
    """These faces, added up."""
    seen = [(label, age_years, one) for label, one in pairs if (age_years := one.age_years) is not None]
    drawn = Bootstrap(len(seen))
    errors_years = [error_years(label, age_years) for label, age_years, _ in seen]
    has_interval = [one.interval_years is not None for _, _, one in seen]
    is_known = [label.gender is not None for label, _, _ in seen]
    is_named = [known and one.gender != "unknown" for known, (_, _, one) in zip(is_known, seen, strict=True)]
    is_leaning = [
        known and one.male_probability is not None for known, (_, _, one) in zip(is_known, seen, strict=True)
    ]
    return Scores(
        faces=len(pairs),
        classified=len(seen),
        age_error_years=drawn.mean([abs(error) for error in errors_years]),
        age_median_years=drawn.median([abs(error) for error in errors_years]),
        age_close=drawn.mean([abs(error) <= CLOSE_YEARS for error in errors_years]),
        age_bias_years=drawn.mean(errors_years),
        exact_error_years=drawn.mean(
            [abs(age_years - label.low_years - 0.5) for label, age_years, _ in seen],
            [is_exact(label) for label, _, _ in seen],
        ),
        interval_years=_mean(
            one.interval_years[1] - one.interval_years[0] for _, _, one in seen if one.interval_years
        ),
        covered=drawn.mean([covered(label, one) for label, _, one in seen], has_interval),
        gender_right=drawn.mean([one.gender == label.gender for label, _, one in seen], is_named),
        gender_unknown=_mean(one.gender == "unknown" for label, _, one in seen if label.gender is not None),
        likelier_right=drawn.mean([likelier_right(label, one) for label, _, one in seen], is_leaning),
    )


def error_years(label: Label, age_years: float) -> float:
    """How far the age read lies above the label's span, or below it as a negative number; 0 inside."""
    if age_years < label.low_years:
        return age_years - label.low_years
    if label.end_years is not None and age_years > label.end_years:
        return age_years - label.end_years
    return 0.0


def is_exact(label: Label) -> bool:
    """Whether the label names one year."""
    return label.end_years is not None and label.end_years - label.low_years <= 1


def covered(label: Label, answer: Answer) -> float:
    """See `coverage`; 0 for an answer without an interval."""
    return coverage(label, *answer.interval_years) if answer.interval_years else 0.0


def coverage(label: Label, low_years: float, high_years: float) -> float:
    """The chance, 0 to 1, that an interval holds the age of a person drawn evenly from the label's span."""
    end_years = max(OPEN_END_YEARS, label.low_years + 1) if label.end_years is None else label.end_years
    inside_years = min(high_years, end_years) - max(low_years, label.low_years)
    return max(inside_years, 0.0) / (end_years - label.low_years)


def likelier_right(label: Label, answer: Answer) -> bool:
    """Whether the likelier gender is that of the label."""
    male = answer.male_probability
    return male is not None and (male >= 0.5) == (label.gender == "male")


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return fmean(listed) if listed else None
