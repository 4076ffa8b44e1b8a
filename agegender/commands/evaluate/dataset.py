"""Labelled faces: pictures with the age and the gender of the person in their middle.

Three layouts are read, told apart by what is there:

    labels.csv      columns `file`, `gender`, and either `age` or `age_low` and `age_high`, last year included
    another .csv    FairFace's: columns `file`, `age` such as `20-29` or `more than 70`, `gender`
    no .csv         UTKFace's file names: age_gender_race_date.jpg, gender 0 for male and 1 for female

Further columns of a table are kept: they may name groups. Tables are UTF-8, or UTF-16 with a byte order mark.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from agegender.services.ingest.sources.kinds import is_picture_file
from agegender.shared.errors import AgeGenderError

TrueGender = Literal["female", "male"]

_UTKFACE_NAME = re.compile(r"^(\d{1,3})_([01])_")
_NUMBER = r"(\d{1,3})(?:\.0*)?"  # programs for tables write 55 as 55.0 where another cell is empty
_YEARS = re.compile(rf"^{_NUMBER}(?:\s*-\s*{_NUMBER})?$")
_LOWEST_YEARS = re.compile(rf"^(?:more than {_NUMBER}|{_NUMBER}\+)$")
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
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
    cells: Mapping[str, str] = field(default_factory=dict, compare=False)
    """The row of the table, by column; `file` alone where the labels are file names."""

    @property
    def name(self) -> str:
        """The picture as the labels name it."""
        return self.cells.get("file", self.path.name)


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
        rows = csv.DictReader(io.StringIO(_text(table), newline=""))
        for row in rows:
            if any(_stripped(cell) for cell in row.values()):
                yield _from_row(row, table, rows.line_num)
    except (OSError, UnicodeError, csv.Error) as error:
        raise DatasetError(f"cannot read {str(table)!r}: {error}") from None


def _text(table: Path) -> str:
    data = table.read_bytes()
    return data.decode("utf-16" if data.startswith(_UTF16_MARKS) else "utf-8-sig")


def _from_row(row: Mapping[str, str | None], table: Path, number: int) -> Label:
    try:
        # The cells beyond the last column stand under None.
        if any(name is None for name in row):
            raise ValueError("there are more cells than columns in the first line")
        cells = {name.strip(): _stripped(cell) for name, cell in row.items()}
        if not cells.get("file"):
            raise ValueError("expected the columns file, gender, and age or age_low and age_high")
        if cells.get("age_low"):
            low_years, end_years = _bounds(cells["age_low"], cells.get("age_high", ""))
        else:
            low_years, end_years = parse_age(cells.get("age", ""))
        gender = parse_gender(cells.get("gender", ""))
    except ValueError as error:
        raise DatasetError(f"{str(table)!r}, line {number}: {error}") from None
    return Label(table.parent / cells["file"], low_years, end_years, gender, cells)


def _stripped(cell: str | Sequence[str] | None) -> str:
    return cell.strip() if isinstance(cell, str) else "".join(cell or ()).strip()


def _from_names(folder: Path) -> Iterator[Label]:
    for path in sorted(filter(is_picture_file, folder.rglob("*"))):
        named = _UTKFACE_NAME.match(path.name)
        if named:
            years = float(named[1])
            gender: TrueGender = "female" if named[2] == "1" else "male"
            yield Label(path, years, years + 1, gender, {"file": path.relative_to(folder).as_posix()})


def parse_age(text: str) -> tuple[float, float | None]:
    """From when until before when: `34` and `34.0` are (34, 35), `20-29` (20, 30), `70+` (70, None).

    `more than 70` is the same as `70+`.

    Raises:
        ValueError: it is none of these.
    """
    if lowest := _LOWEST_YEARS.match(text):
        return float(lowest[1] or lowest[2]), None
    if years := _YEARS.match(text):
        return _bounds(years[1], years[2] or years[1])
    raise ValueError(f"the age is {text!r}, expected one such as 34, 20-29, more than 70 or 70+")


def _bounds(low: str, high: str) -> tuple[float, float | None]:
    for text in filter(None, (low, high)):
        if "-" in text or not _YEARS.match(text):
            raise ValueError(f"a bound of the age is {text!r}, expected a number such as 34")
    low_years = float(low)
    if not high:
        return low_years, None
    end_years = float(high) + 1
    if low_years >= end_years:
        raise ValueError(f"the ages {low} to {high} are no interval")
    return low_years, end_years


def columns_of(labels: Sequence[Label]) -> Sequence[str]:
    """The columns of the table that the labels come from, in their order."""
    return list(labels[0].cells) if labels else []


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
