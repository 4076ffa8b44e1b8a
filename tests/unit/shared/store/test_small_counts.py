"""Published counts, and that they do not reveal the hidden ones."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender.shared.messages.pipeline import AGE_BANDS
from agegender.shared.messages.visits import UNKNOWN_BAND
from agegender.shared.store import Count, GivenCount, given_out
from agegender.shared.store.small_counts import SETTLED_S

HOUR_S = 3_600.0
NOW_S = 100 * HOUR_S
BANDS = (*AGE_BANDS, UNKNOWN_BAND)
GENDERS = ("female", "male", "unknown")

Cells = Mapping[tuple[str, str], int]

leasts = st.integers(3, 12)
cells = st.dictionaries(
    st.tuples(st.sampled_from(BANDS), st.sampled_from(GENDERS)), st.integers(1, 15), min_size=1
)


def counts(cells: Cells, start_s: float = 0.0, camera_id: str = "door") -> list[Count]:
    found = [Count(start_s, camera_id, *kind, visits) for kind, visits in cells.items() if visits]
    return sorted(found, key=lambda one: one.order)


def given_of(cells: Cells, least: int) -> Sequence[GivenCount]:
    return given_out(counts(cells), least, "hour", NOW_S)


def told(given: Sequence[GivenCount]) -> list[tuple[str | None, str | None, int | None, int | None]]:
    return [(one.age_band, one.gender, one.visits, one.fewer_than) for one in given]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({}, []),
        (
            {("20-29", "female"): 3, ("70+", "male"): 9},
            [("20-29", "female", 3, None), ("70+", "male", 9, None)],
        ),
        (
            {("20-29", "female"): 2, ("30-39", "female"): 1, ("70+", "male"): 9},
            [(None, "female", 3, None), (None, "male", 9, None)],
        ),
        ({("20-29", "female"): 2, ("70+", "male"): 9}, [(None, None, 11, None)]),
        ({("20-29", "female"): 1, ("70+", "male"): 1}, [(None, None, None, 3)]),
    ],
)
def test_the_finest_level_without_a_small_number_is_published(
    cells: Cells, expected: list[tuple[str | None, str | None, int | None, int | None]]
) -> None:
    assert told(given_of(cells, 3)) == expected


def test_each_camera_and_hour_has_its_own_level() -> None:
    rows = [
        *counts({("20-29", "male"): 9}, 0.0, "door"),
        *counts({("20-29", "male"): 1}, 0.0, "hall"),
        *counts({("20-29", "male"): 5, ("70+", "male"): 1}, HOUR_S, "door"),
    ]
    found = given_out(rows, 5, "hour", NOW_S)
    assert [(one.start_s, one.camera_id, one.age_band, one.visits) for one in found] == [
        (0.0, "door", "20-29", 9),
        (0.0, "hall", None, None),
        (HOUR_S, "door", None, 6),
    ]


def test_counts_that_may_still_change_are_not_published() -> None:
    rows = counts({("20-29", "male"): 9})
    assert given_out(rows, 3, "hour", HOUR_S + SETTLED_S - 1) == []
    assert len(given_out(rows, 3, "hour", HOUR_S + SETTLED_S)) == 1
    assert given_out(rows, 3, "day", HOUR_S + SETTLED_S) == []
    assert len(given_out(rows, 1, "hour", 1.0)) == 1


@given(cells)
def test_with_a_least_of_one_every_count_is_published(cells: Cells) -> None:
    expected = [(one.age_band, one.gender, one.visits, None) for one in counts(cells)]
    assert told(given_of(cells, 1)) == expected


@pytest.mark.parametrize("least", [2, 0, -5])
def test_a_least_that_would_hide_nothing_is_refused(least: int) -> None:
    with pytest.raises(ValueError, match=r"expected 1 .* or at least 3"):
        given_of({}, least)


@given(cells, leasts)
def test_published_numbers_are_true_and_never_small(cells: Cells, least: int) -> None:
    for one in given_of(cells, least):
        truth = sum(
            visits
            for (band, gender), visits in cells.items()
            if one.age_band in (None, band) and one.gender in (None, gender)
        )
        if one.visits is None:
            assert 0 < truth < least == one.fewer_than
        else:
            assert one.visits == truth >= least


@given(cells, leasts)
def test_every_small_cell_could_have_held_another_number(cells: Cells, least: int) -> None:
    """For each small cell, another value gives the same publication, so it cannot be computed."""
    for (band, gender), visits in cells.items():
        if visits >= least:
            continue
        given = given_of(cells, least)
        assert any(
            given_of(other, least) == given for other in _with_another_value(cells, band, gender, visits)
        )


def _with_another_value(cells: Cells, band: str, gender: str, visits: int) -> list[Cells]:
    """The cell with another age, or with one visit of it moved there."""
    found: list[Cells] = []
    for other in BANDS:
        number = cells.get((other, gender), 0)
        if number != visits:
            found.append({**cells, (band, gender): number, (other, gender): visits})
        elif other != band:
            found.append({**cells, (band, gender): visits - 1, (other, gender): visits + 1})
    return found


@pytest.mark.parametrize("least", [3, 4])
def test_no_table_of_two_ages_and_genders_reveals_a_small_cell(least: int) -> None:
    kinds = list(itertools.product(BANDS[:2], GENDERS[:2]))
    possible: dict[tuple[object, ...], list[tuple[int, ...]]] = defaultdict(list)
    for numbers in itertools.product(range(7), repeat=len(kinds)):
        given = given_of(dict(zip(kinds, numbers, strict=True)), least)
        possible[tuple(told(given))].append(numbers)
    for tables in possible.values():
        for values in zip(*tables, strict=True):
            assert len(set(values)) > 1 or not 0 < values[0] < least, tables
