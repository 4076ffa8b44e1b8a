"""The groups that faces are split into."""

from __future__ import annotations

import pytest

from agegender.commands.evaluate.dataset import DatasetError, TrueGender
from agegender.commands.evaluate.groups import (
    GENDER_GROUPS,
    MOST_GROUPS,
    SIZE_BANDS,
    by_columns,
    gender_group,
    size_band,
    true_band,
)
from tests.support.labelled_faces import answer, label


@pytest.mark.parametrize(
    ("low", "band"),
    [(0, "0-2"), (2, "0-2"), (3, "3-9"), (9, "3-9"), (10, "10-19"), (69, "60-69"), (90, "70+")],
)
def test_a_label_belongs_to_the_band_that_it_begins_in(low: float, band: str) -> None:
    assert true_band(label(low, low + 1)) == band


@pytest.mark.parametrize(
    ("low", "gender", "name"),
    [
        (9, "male", "under 10"),
        (3, None, "under 10"),
        (10, "male", "men from 10"),
        (10, "female", "women from 10"),
        (10, None, None),
    ],
)
def test_children_are_a_group_of_any_gender(low: float, gender: TrueGender | None, name: str | None) -> None:
    assert gender_group(label(low, low + 1, gender)) == name
    assert name is None or name in GENDER_GROUPS


@pytest.mark.parametrize(
    ("height", "band"), [(0, 0), (23.9, 0), (24, 1), (47.9, 2), (48, 3), (95.9, 4), (96, 5), (2_000, 5)]
)
def test_a_face_belongs_to_the_band_of_its_height(height: float, band: int) -> None:
    assert size_band(height) == SIZE_BANDS[band]


def test_any_column_of_the_labels_makes_groups() -> None:
    labels = [label(20, 30, race=race) for race in ("b", "a", "", "b")]
    (split,) = by_columns(labels, ["race"])
    parts = split.parts([(one, answer(20)) for one in labels])
    assert split.title == "race"
    assert parts == {"(empty)": [2], "a": [1], "b": [0, 3]}


def test_a_column_that_is_missing_or_no_group_is_refused() -> None:
    labels = [label(20, 30, name=f"{number}.jpg", race="a") for number in range(MOST_GROUPS + 1)]
    with pytest.raises(DatasetError, match="no column 'rase': expected one of file, race"):
        by_columns(labels, ["rase"])
    with pytest.raises(DatasetError, match="'file' has 41 values, expected at most 40 groups"):
        by_columns(labels, ["file"])
