"""Results in a few words."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from agegender.commands.face_rows import age_text, face_label, face_record, gender_texts
from agegender.commands.run.view import Summary
from agegender.shared.messages.pipeline import Result
from tests.support.made_messages import result, unclassified_result


@pytest.mark.parametrize(
    ("one", "label", "age", "gender"),
    [
        (result(age_years=34.4), "female 34", "34", ("female", "75 %")),
        (result(gender="unknown"), "? 34", "34", ("unknown", "75 %")),
        (unclassified_result(why="too-small"), "too small", "too small", ("", "")),
        (unclassified_result(why="too-blurred"), "too blurred", "too blurred", ("", "")),
    ],
)
def test_a_face_is_told_in_a_few_letters(one: Result, label: str, age: str, gender: tuple[str, str]) -> None:
    assert face_label(one) == label
    assert age_text(one) == age
    assert gender_texts(one) == gender


def test_the_record_of_an_unclassified_face_has_no_age() -> None:
    record = face_record(unclassified_result())
    assert (record["age_years"], record["age_interval_years"], record["unclassified"]) == (
        None,
        None,
        "too-small",
    )
    assert (record["gender"], record["male_probability"]) == ("unknown", None)


def test_a_record_holds_interval_probability_and_quality() -> None:
    one = result().model_copy(update={"age_interval_years": (26.5, 41.0), "male_probability": 0.25})
    record = face_record(one)
    assert (record["age_interval_years"], record["male_probability"]) == ((26.5, 41.0), 0.25)
    assert "quality" in record
    assert record["nets"] == "nets-1"


def test_a_summary_lists_unclassified_faces_apart_from_ages() -> None:
    summary = Summary(
        seconds=1.0,
        captured=1,
        published=1,
        dropped={},
        faces_found=50,
        faces_classified=5,
        results=5,
        not_stored=0,
        bad=0,
        visits=5,
        genders={"female": 3, "unknown": 2},
        age_bands={"30-39": 3, "too-small": 2},
        failures={},
        delays_s=[],
    )
    screen = io.StringIO()
    Console(file=screen, width=100).print(summary.draw())
    lines = screen.getvalue().splitlines()
    assert any("ages" in line and "30-39: 3" in line and "too-small" not in line for line in lines)
    assert any("faces found" in line and "50" in line for line in lines)
    assert any("faces classified" in line and "5 " in line for line in lines)
    assert any("visits counted" in line and "5 " in line for line in lines)
    assert any("not classified" in line and "too-small: 2" in line for line in lines)
