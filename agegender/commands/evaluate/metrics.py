"""What labelled faces say of the classifications: errors, coverage, and how often nothing was said.

The age error is the distance in years from the age read to the span of the label, which lasts until the next
birthday. A label stands for a person drawn evenly from its span; that of `70 and over` is taken to end at
OPEN_END_YEARS.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from agegender.commands.evaluate.classify import Classified
from agegender.commands.evaluate.dataset import Label
from agegender.shared.images.quality import height_px
from agegender.shared.messages.pipeline import AGE_BANDS, Result, age_band

OPEN_END_YEARS = 85.0
CHILD_YEARS = 10.0
TRUE_BANDS = ("0-2", "3-9", *AGE_BANDS[1:])
"""Of the labels: toddlers are another matter than schoolchildren."""
SIZE_BANDS = ("under 24 px", "24-31 px", "32-47 px", "48-63 px", "64-95 px", "96+ px")
_SIZE_ENDS_PX = (24.0, 32.0, 48.0, 64.0, 96.0)
GROUPS = ("men from 10", "women from 10", "under 10")


@dataclass(frozen=True)
class Scores:
    """Some labelled faces, added up. Shares are 0 to 1; None where there is nothing to take the mean of."""

    faces: int
    """Pictures in which a face was found."""
    classified: int
    """Of these, the faces that were neither too small nor too blurred; all that follows is about them."""
    age_error_years: float | None
    age_bias_years: float | None
    """The mean error with its sign: above 0, ages are read too high."""
    interval_years: float | None
    """Mean width of the intervals."""
    covered: float | None
    """Share of the intervals that hold the true age."""
    gender_right: float | None
    """Share that is right among the faces that got a gender."""
    gender_unknown: float | None
    """Share that got `unknown`."""
    likelier_right: float | None
    """Share for which the likelier gender is right, whether it was named or not."""


@dataclass(frozen=True)
class Evaluation:
    """All figures of a labelled dataset."""

    pictures: int
    missed: int
    """Pictures in which no face was found."""
    unreadable: Mapping[str, str]
    """File → reason."""
    unclassified: Mapping[str, int]
    """Reason → faces."""
    overall: Scores
    by_age: Mapping[str, Scores]
    """By the age of the label, in TRUE_BANDS."""
    by_age_read: Mapping[str, Scores]
    """By the age that the nets read, in AGE_BANDS: all that a user knows."""
    by_group: Mapping[str, Scores]
    by_size: Mapping[str, Scores]
    """By the height of the face in the frame, in SIZE_BANDS."""
    confusion: Sequence[Sequence[int]]
    """Classified faces: a row for each of TRUE_BANDS, a column for each of AGE_BANDS."""


Pair = tuple[Label, Result]


def evaluated(classified: Iterable[Classified]) -> Evaluation:
    """The figures of everything that was classified."""
    everything = list(classified)
    pairs = [(one.label, one.result) for one in everything if one.result is not None]
    seen = [(label, result) for label, result in pairs if result.age_years is not None]
    cells = Counter((true_band(label), age_band(_age(result))) for label, result in seen)
    return Evaluation(
        pictures=len(everything),
        missed=sum(one.result is None and one.problem is None for one in everything),
        unreadable={str(one.label.path): one.problem for one in everything if one.problem is not None},
        unclassified=dict(Counter(str(one.unclassified) for _, one in pairs if one.unclassified is not None)),
        overall=scores(pairs),
        by_age=_by(pairs, lambda label, _: true_band(label), TRUE_BANDS),
        by_age_read=_by(seen, lambda _, result: age_band(_age(result)), AGE_BANDS),
        by_group=_by(pairs, lambda label, _: group(label), GROUPS),
        by_size=_by(pairs, lambda _, result: size_band(height_px(result.face)), SIZE_BANDS),
        confusion=[[cells[true, read] for read in AGE_BANDS] for true in TRUE_BANDS],
    )


def scores(pairs: Sequence[Pair]) -> Scores:
    """These faces, added up."""
    seen = [(label, result) for label, result in pairs if result.age_years is not None]
    errors_years = [error_years(label, _age(result)) for label, result in seen]
    intervals = [(label, one.age_interval_years) for label, one in seen if one.age_interval_years is not None]
    known = [(label.gender, result) for label, result in seen if label.gender is not None]
    named = [(truth, result) for truth, result in known if result.gender != "unknown"]
    guessed = [(truth, one.male_probability) for truth, one in known if one.male_probability is not None]
    return Scores(
        faces=len(pairs),
        classified=len(seen),
        age_error_years=_mean(abs(error) for error in errors_years),
        age_bias_years=_mean(errors_years),
        interval_years=_mean(high - low for _, (low, high) in intervals),
        covered=_mean(coverage(label, *interval) for label, interval in intervals),
        gender_right=_mean(result.gender == truth for truth, result in named),
        gender_unknown=_mean(result.gender == "unknown" for _, result in known),
        likelier_right=_mean((male >= 0.5) == (truth == "male") for truth, male in guessed),
    )


def error_years(label: Label, age_years: float) -> float:
    """How far the age read lies above the label's span, or below it as a negative number; 0 inside."""
    if age_years < label.low_years:
        return age_years - label.low_years
    if label.end_years is not None and age_years > label.end_years:
        return age_years - label.end_years
    return 0.0


def coverage(label: Label, low_years: float, high_years: float) -> float:
    """The chance, 0 to 1, that an interval holds the age of a person drawn evenly from the label's span."""
    end_years = max(OPEN_END_YEARS, label.low_years + 1) if label.end_years is None else label.end_years
    inside_years = min(high_years, end_years) - max(low_years, label.low_years)
    return max(inside_years, 0.0) / (end_years - label.low_years)


def true_band(label: Label) -> str:
    """The band of TRUE_BANDS that the label begins in."""
    if label.low_years < CHILD_YEARS:
        return TRUE_BANDS[0] if label.low_years < 3 else TRUE_BANDS[1]
    return age_band(label.low_years)


def group(label: Label) -> str | None:
    """The group of GROUPS; None where the gender is not labelled."""
    if label.low_years < CHILD_YEARS:
        return GROUPS[2]
    return {"male": GROUPS[0], "female": GROUPS[1], None: None}[label.gender]


def size_band(face_px: float) -> str:
    """The band of SIZE_BANDS for a face of this height."""
    return SIZE_BANDS[sum(face_px >= end_px for end_px in _SIZE_ENDS_PX)]


def _by(
    pairs: Sequence[Pair], name: Callable[[Label, Result], str | None], names: Sequence[str]
) -> Mapping[str, Scores]:
    chosen = {one: [pair for pair in pairs if name(*pair) == one] for one in names}
    return {one: scores(found) for one, found in chosen.items() if found}


def _age(result: Result) -> float:
    if result.age_years is None:
        raise ValueError(f"face {result.face.face_id} was not classified")
    return result.age_years


def _mean(values: Iterable[float]) -> float | None:
    listed = list(values)
    return fmean(listed) if listed else None
