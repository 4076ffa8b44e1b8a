"""The groups of faces that figures are split by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from agegender.commands.evaluate.answers import Answer
from agegender.commands.evaluate.dataset import DatasetError, Label, columns_of
from agegender.shared.messages.pipeline import AGE_BANDS, age_band

CHILD_YEARS = 10.0
TRUE_BANDS = ("0-2", "3-9", *AGE_BANDS[1:])
"""Of the labels: toddlers are another matter than schoolchildren."""
SIZE_BANDS = ("under 24 px", "24-31 px", "32-47 px", "48-63 px", "64-95 px", "96+ px")
_SIZE_ENDS_PX = (24.0, 32.0, 48.0, 64.0, 96.0)
GENDER_GROUPS = ("men from 10", "women from 10", "under 10")
MOST_GROUPS = 40
"""A column with more values names no groups."""
_EMPTY = "(empty)"

Pair = tuple[Label, Answer]
GroupOf = Callable[[Pair], str | None]
"""The name of the group that a face belongs to; None if it belongs to none."""


class Split:
    """One way to split faces into groups.

    Args:
        title: what the faces are split by.
        names: of the groups, in their order.
        of: the group of a face.
    """

    def __init__(self, title: str, names: Sequence[str], of: GroupOf) -> None:
        self.title = title
        self._names = names
        self._of = of

    def parts(self, pairs: Sequence[Pair]) -> Mapping[str, Sequence[int]]:
        """The positions of the faces of each group that has any."""
        groups = [self._of(pair) for pair in pairs]
        found = {name: [at for at, group in enumerate(groups) if group == name] for name in self._names}
        return {name: positions for name, positions in found.items() if positions}


BY_TRUE_AGE = Split("true age", TRUE_BANDS, lambda pair: true_band(pair[0]))
BY_AGE_READ = Split("age read", AGE_BANDS, lambda pair: read_band(pair[1]))
BY_GENDER = Split("gender", GENDER_GROUPS, lambda pair: gender_group(pair[0]))
BY_SIZE = Split("face height", SIZE_BANDS, lambda pair: size_band(pair[1].face_px))


def by_columns(labels: Sequence[Label], columns: Sequence[str]) -> Sequence[Split]:
    """Splits by columns of the labels' table; faces with an empty cell are a group too.

    Raises:
        DatasetError: there is no such column, or it holds more than MOST_GROUPS values.
    """
    known = columns_of(labels)
    splits = []
    for column in columns:
        if column not in known:
            raise DatasetError(f"the labels have no column {column!r}: expected one of {', '.join(known)}")
        values = Counter(_cell(label, column) for label in labels)
        if len(values) > MOST_GROUPS:
            raise DatasetError(
                f"the column {column!r} has {len(values)} values, expected at most {MOST_GROUPS} groups"
            )
        splits.append(Split(column, sorted(values), partial(_group_in, column)))
    return splits


def true_band(label: Label) -> str:
    """The band of TRUE_BANDS that the label begins in."""
    if label.low_years < CHILD_YEARS:
        return TRUE_BANDS[0] if label.low_years < 3 else TRUE_BANDS[1]
    return age_band(label.low_years)


def read_band(answer: Answer) -> str | None:
    """The band of AGE_BANDS that the age read lies in; None for an unclassified face."""
    return None if answer.age_years is None else age_band(answer.age_years)


def gender_group(label: Label) -> str | None:
    """The group of GENDER_GROUPS; None where the gender is not labelled."""
    if label.low_years < CHILD_YEARS:
        return GENDER_GROUPS[2]
    return {"male": GENDER_GROUPS[0], "female": GENDER_GROUPS[1], None: None}[label.gender]


def size_band(face_px: float | None) -> str | None:
    """The band of SIZE_BANDS for a face of this height; None where the height is unknown."""
    return None if face_px is None else SIZE_BANDS[sum(face_px >= end_px for end_px in _SIZE_ENDS_PX)]


def _group_in(column: str, pair: Pair) -> str:
    return _cell(pair[0], column)


def _cell(label: Label, column: str) -> str:
    return label.cells.get(column, "") or _EMPTY
