"""What a pack, or any other model, says of a labelled picture; kept in a table to compare with later."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agegender.commands.evaluate.dataset import Label
from agegender.shared.errors import AgeGenderError
from agegender.shared.images.quality import height_px
from agegender.shared.messages.pipeline import Gender, Result

COLUMNS = (
    *("file", "age_years", "age_low_years", "age_high_years", "gender", "male_probability"),
    *("face_px", "outcome"),
)
NO_FACE = "no-face"

_GENDERS: Mapping[str, Gender] = {"female": "female", "male": "male", "unknown": "unknown", "": "unknown"}


class AnswersError(AgeGenderError):
    """A table of answers cannot be read; the text says where and what was expected."""


@dataclass(frozen=True)
class Answer:
    """Age and gender of the face in the middle of a picture, or why it is unclassified."""

    age_years: float | None
    """None exactly when `unclassified` gives the reason."""
    interval_years: tuple[float, float] | None = None
    gender: Gender = "unknown"
    male_probability: float | None = None
    face_px: float | None = None
    """The height of the face in the picture."""
    unclassified: str | None = None

    @classmethod
    def of(cls, result: Result) -> Answer:
        """The answer in a result of classify."""
        return cls(
            result.age_years,
            result.age_interval_years,
            result.gender,
            result.male_probability,
            height_px(result.face),
            result.unclassified,
        )


@dataclass(frozen=True)
class Classified:
    """What was answered for one labelled picture."""

    label: Label
    answer: Answer | None = None
    """None: no face was found, or the picture could not be read."""
    problem: str | None = None
    """Why the picture could not be read."""


def write_answers(path: Path, classified: Iterable[Classified]) -> None:
    """Writes one row for each picture; raises OSError."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(COLUMNS)
        rows.writerows(_row(one) for one in classified)


def _row(one: Classified) -> tuple[object, ...]:
    answer = one.answer
    if answer is None:
        return (one.label.name, *[""] * 6, NO_FACE if one.problem is None else one.problem)
    if answer.age_years is None:
        return (one.label.name, *[""] * 5, answer.face_px, answer.unclassified)
    low_years, high_years = answer.interval_years or ("", "")
    male = "" if answer.male_probability is None else answer.male_probability
    face_px = "" if answer.face_px is None else round(answer.face_px, 1)
    return (one.label.name, answer.age_years, low_years, high_years, answer.gender, male, face_px, "")


def answers_in(path: Path, labels: Sequence[Label]) -> Sequence[Classified]:
    """What a table answers for each label. A picture without a row, or with an empty one, has no face.

    Args:
        path: a table of `write_answers`, or of another model: `file` and `age_years` suffice.
        labels: their names are looked up in the column `file`.

    Raises:
        AnswersError: it is no such table, or holds no row for any label.
    """
    rows = _read(path)
    if not any(label.name in rows for label in labels):
        raise AnswersError(
            f"{str(path)!r} holds no answer for any labelled picture: expected the names of the labels in "
            "the column file"
        )
    return [Classified(label, *rows.get(label.name, (None, None))) for label in labels]


def _read(path: Path) -> Mapping[str, tuple[Answer | None, str | None]]:
    """The answer by file, and why the picture could not be read."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if missing := {"file", "age_years"} - set(rows.fieldnames or ()):
                raise AnswersError(
                    f"{str(path)!r} lacks the columns {', '.join(sorted(missing))}: expected some of "
                    f"{', '.join(COLUMNS)}"
                )
            return {row["file"]: _answer(row, path, rows.line_num) for row in rows if row.get("file")}
    except (OSError, UnicodeError, csv.Error) as error:
        raise AnswersError(f"cannot read {str(path)!r}: {error}") from None


def _answer(row: Mapping[str, str | None], path: Path, number: int) -> tuple[Answer | None, str | None]:
    def value(name: str) -> float | None:
        cell = (row.get(name) or "").strip()
        return float(cell) if cell else None

    try:
        age_years, face_px = value("age_years"), value("face_px")
        low_years, high_years = value("age_low_years"), value("age_high_years")
        gender, male = (row.get("gender") or "").strip().lower(), value("male_probability")
        if gender not in _GENDERS:
            raise ValueError(f"the gender is {gender!r}, expected female, male or unknown")
    except ValueError as error:
        raise AnswersError(f"{str(path)!r}, line {number}: {error}") from None
    outcome = (row.get("outcome") or "").strip()
    if age_years is None and face_px is None:
        return None, None if outcome in ("", NO_FACE) else outcome
    if age_years is None:
        return Answer(None, face_px=face_px, unclassified=outcome), None
    if male is None and _GENDERS[gender] != "unknown":
        male = 1.0 if gender == "male" else 0.0
    interval = None if low_years is None or high_years is None else (low_years, high_years)
    return Answer(age_years, interval, _GENDERS[gender], male, face_px), None
