"""Labelled faces: pictures with the age and the gender of the person in their middle.

Three layouts are read, told apart by what is there:

    labels.csv      columns `file`, `gender`, and either `age` or `age_low` and `age_high`, last year included
    another .csv    FairFace's: columns `file`, `age` such as `20-29` or `more than 70`, `gender`
    no .csv         UTKFace's file names: age_gender_race_date.jpg, gender 0 for male and 1 for female
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from agegender.services.ingest.sources.kinds import is_picture_file
from agegender.shared.errors import AgeGenderError

TrueGender = Literal["female", "male"]

_UTKFACE_NAME = re.compile(r"^(\d{1,3})_([01])_")
_YEARS = re.compile(r"^(\d{1,3})(?:\s*-\s*(\d{1,3}))?$")
_LOWEST_YEARS = re.compile(r"^(?:more than (\d{1,3})|(\d{1,3})\+)$")
_GENDERS: Mapping[str, TrueGender] = {"female": "female", "f": "female", "male": "male", "m": "male"}


class DatasetError(AgeGenderError):
    """There are no labels, or some that cannot be understood; the text says where and what was expected."""


@dataclass(frozen=True)
class Label:
    """One picture and what is true of the person in its middle."""

    path: Path
    low_years: float
    """The person is at least this old."""
    end_years: float | None
    """The person is younger than this; None where only the lower bound is known."""
    gender: TrueGender | None
    """None where the label does not say."""


def load_labels(dataset: Path) -> Sequence[Label]:
    """The labels of a folder, or of one .csv file, in the order in which they stand there.

    Raises:
        DatasetError: nothing there is labelled, or a label cannot be understood.
    """
    if not dataset.exists():
        raise DatasetError(
            f"there is no {str(dataset)!r}: expected a folder of labelled pictures or a .csv file"
        )
    table = labels_file(dataset)
    labels = list(_from_table(table) if table else _from_names(dataset))
    if not labels:
        raise DatasetError(
            f"nothing in {str(dataset)!r} is labelled: expected a labels.csv, FairFace's .csv, or UTKFace's "
            "file names such as 34_1_0_20170103.jpg"
        )
    return labels


def labels_file(dataset: Path) -> Path | None:
    """The table that holds the labels; None where the names of the pictures do.

    Raises:
        DatasetError: there are several.
    """
    if dataset.is_file():
        return dataset
    if (dataset / "labels.csv").exists():
        return dataset / "labels.csv"
    tables = sorted(dataset.glob("*.csv"))
    if len(tables) > 1:
        names = ", ".join(path.name for path in tables)
        raise DatasetError(f"{str(dataset)!r} holds several tables, {names}: give the path of one")
    return tables[0] if tables else None


def _from_table(table: Path) -> Iterator[Label]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            yield from (
                _from_row(row, table, number) for number, row in enumerate(csv.DictReader(file), start=2)
            )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(f"cannot read {str(table)!r}: {error}") from None


def _from_row(row: Mapping[str, str | None], table: Path, number: int) -> Label:
    def cell(name: str) -> str:
        return (row.get(name) or "").strip()

    try:
        if not cell("file"):
            raise ValueError("expected the columns file, gender, and age or age_low and age_high")
        if cell("age_low"):
            low_years, end_years = _bounds(cell("age_low"), cell("age_high"))
        else:
            low_years, end_years = parse_age(cell("age"))
        return Label(table.parent / cell("file"), low_years, end_years, parse_gender(cell("gender")))
    except ValueError as error:
        raise DatasetError(f"{str(table)!r}, line {number}: {error}") from None


def _from_names(folder: Path) -> Iterator[Label]:
    for path in sorted(filter(is_picture_file, folder.rglob("*"))):
        named = _UTKFACE_NAME.match(path.name)
        if named:
            years = float(named[1])
            yield Label(path, years, years + 1, "female" if named[2] == "1" else "male")


def parse_age(text: str) -> tuple[float, float | None]:
    """From when until before when: `34` is (34, 35), `20-29` (20, 30), `more than 70` and `70+` (70, None).

    Raises:
        ValueError: it is none of these.
    """
    if lowest := _LOWEST_YEARS.match(text):
        return float(lowest[1] or lowest[2]), None
    if years := _YEARS.match(text):
        return _bounds(years[1], years[2] or years[1])
    raise ValueError(f"the age is {text!r}, expected one such as 34, 20-29, more than 70 or 70+")


def _bounds(low: str, high: str) -> tuple[float, float | None]:
    low_years = float(low)
    if not high:
        return low_years, None
    end_years = float(high) + 1
    if not 0 <= low_years < end_years:
        raise ValueError(f"the ages {low} to {high} are no interval")
    return low_years, end_years


def parse_gender(text: str) -> TrueGender | None:
    """`Female`, `f`, `Male` or `m` in any case; None for an empty cell.

    Raises:
        ValueError: it is something else.
    """
    if not text:
        return None
    if text.lower() not in _GENDERS:
        raise ValueError(f"the gender is {text!r}, expected female or male")
    return _GENDERS[text.lower()]
