"""The table of answers: written, read again, and written by other models."""

from __future__ import annotations

from pathlib import Path

import pytest

from agegender.commands.evaluate.answers import Answer, AnswersError, Classified, answers_in, write_answers
from tests.support.labelled_faces import TOO_SMALL, answer, label

LABELS = [label(30, 31, name=name) for name in ("a, ü.jpg", "b.jpg", "c.jpg", "d.jpg")]


def test_answers_that_are_written_are_read_again(tmp_path: Path) -> None:
    written = [
        Classified(LABELS[0], answer(33.5, (20.0, 40.5), "male", 0.75, 80.0)),
        Classified(LABELS[1], TOO_SMALL),
        Classified(LABELS[2]),
        Classified(LABELS[3], None, "no picture"),
    ]
    write_answers(tmp_path / "answers.csv", written)
    read = answers_in(tmp_path / "answers.csv", LABELS)
    assert read == written


def test_file_and_age_suffice_for_another_model(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("\ufefffile,age_years,gender\nb.jpg,41,Male\n\nc.jpg,12,\n", "utf-8")
    read = answers_in(tmp_path / "other.csv", LABELS)
    assert [one.answer for one in read] == [
        *(None, Answer(41.0, None, "male", 1.0), Answer(12.0, None, "unknown", None), None)
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name,age\n", "lacks the columns age_years, file"),
        ("file,age_years\nz.jpg,41\n", "no answer for any labelled picture"),
        ("file,age_years\na.jpg,41\nb.jpg,old\n", "line 3: could not convert"),
        ("file,age_years,gender\nb.jpg,41,robot\n", "line 2: the gender is 'robot'"),
    ],
)
def test_a_table_that_holds_no_answers_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "other.csv").write_text(text)
    with pytest.raises(AnswersError, match=reason):
        answers_in(tmp_path / "other.csv", LABELS)
