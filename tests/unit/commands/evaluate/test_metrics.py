"""Figures of labelled faces that were worked out by hand."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import asdict
from json import dumps
from pathlib import Path

import pytest

from agegender.commands.evaluate.classify import Classified
from agegender.commands.evaluate.confusion import confusion_svg
from agegender.commands.evaluate.dataset import Label, TrueGender
from agegender.commands.evaluate.metrics import (
    GROUPS,
    SIZE_BANDS,
    TRUE_BANDS,
    coverage,
    error_years,
    evaluated,
    group,
    scores,
    size_band,
    true_band,
)
from agegender.commands.evaluate.report import markdown, write_report
from agegender.shared.messages.pipeline import AGE_BANDS, Gender, Result
from tests.support.made_messages import face_info, result, unclassified_result


def _label(low: float, end: float | None, gender: TrueGender | None = "female", name: str = "a.jpg") -> Label:
    return Label(Path(name), low, end, gender)


def _result(
    age_years: float,
    interval: tuple[float, float] | None = None,
    gender: Gender = "female",
    male: float = 0.2,
    height: float = 100.0,
) -> Result:
    face = face_info().model_copy(update={"box_xyxy": (0.0, 0.0, 80.0, height)})
    change = {"age_interval_years": interval, "male_probability": male}
    return result(face, age_years=age_years, gender=gender).model_copy(update=change)


@pytest.mark.parametrize(
    ("age_years", "error"), [(20, 0), (29.9, 0), (30, 0), (30.5, 0.5), (19, -1), (0, -20), (90, 60)]
)
def test_the_error_is_the_distance_to_the_span_of_the_label(age_years: float, error: float) -> None:
    assert error_years(_label(20, 30), age_years) == pytest.approx(error)


def test_nobody_is_too_old_for_a_label_without_an_end() -> None:
    assert error_years(_label(70, None), 110) == 0
    assert error_years(_label(70, None), 65) == -5


@pytest.mark.parametrize(
    ("interval", "share"),
    [((20, 30), 1), ((0, 100), 1), ((25, 40), 0.5), ((22, 23), 0.1), ((30, 40), 0), ((0, 20), 0)],
)
def test_coverage_is_the_share_of_the_span_in_the_interval(
    interval: tuple[float, float], share: float
) -> None:
    assert coverage(_label(20, 30), *interval) == pytest.approx(share)


def test_a_label_without_an_end_ends_at_85_years() -> None:
    assert coverage(_label(70, None), 60, 77.5) == pytest.approx(0.5)
    assert coverage(_label(90, None), 90, 91) == 1


def test_scores_are_the_means_of_what_was_judged() -> None:
    found = scores(
        [
            (_label(20, 30), _result(35, (25, 45), "female", 0.1)),
            (_label(20, 30, "male"), _result(15, (10, 20), "unknown", 0.6)),
            (_label(40, 50, "male"), _result(45, (40, 50), "female", 0.3)),
            (_label(40, 50, None), _result(45, (40, 50), "male", 0.9)),
            (_label(40, 50), unclassified_result()),
        ]
    )
    assert (found.faces, found.classified) == (5, 4)
    assert found.age_error_years == pytest.approx((5 + 5 + 0 + 0) / 4)
    assert found.age_bias_years == pytest.approx(0)
    assert found.interval_years == pytest.approx((20 + 10 + 10 + 10) / 4)
    assert found.covered == pytest.approx((0.5 + 0 + 1 + 1) / 4)
    assert found.gender_right == pytest.approx(1 / 2), "of the two that were named and labelled"
    assert found.gender_unknown == pytest.approx(1 / 3), "of the three that were labelled"
    assert found.likelier_right == pytest.approx(2 / 3)


def test_without_faces_there_are_no_figures_and_nothing_fails() -> None:
    for pairs in ([], [(_label(20, 30), unclassified_result())]):
        found = scores(pairs)
        assert found.classified == 0
        assert found.age_error_years is found.covered is found.gender_right is found.likelier_right is None


def test_every_picture_is_accounted_for() -> None:
    found = evaluated(
        [
            Classified(_label(0, 3, "male", "1.jpg"), _result(4)),
            Classified(_label(33, 34, "male", "2.jpg"), _result(41, gender="male", height=30)),
            Classified(_label(33, 34, "female", "3.jpg"), unclassified_result()),
            Classified(_label(70, None, name="4.jpg")),
            Classified(_label(70, None, name="5.jpg"), None, "no picture"),
        ]
    )
    assert (found.pictures, found.missed, found.unclassified) == (5, 1, {"too-small": 1})
    assert found.unreadable == {"5.jpg": "no picture"}
    assert found.overall.faces == 3
    assert {band: one.classified for band, one in found.by_age.items()} == {"0-2": 1, "30-39": 1}
    assert {band: one.classified for band, one in found.by_age_read.items()} == {"0-9": 1, "40-49": 1}
    assert {name: one.faces for name, one in found.by_group.items()} == dict(
        zip(GROUPS, (1, 1, 1), strict=True)
    )
    assert {name: one.faces for name, one in found.by_size.items()} == {
        "24-31 px": 1,
        "48-63 px": 1,
        "96+ px": 1,
    }
    assert sum(map(sum, found.confusion)) == 2
    assert found.confusion[TRUE_BANDS.index("30-39")][AGE_BANDS.index("40-49")] == 1
    assert dumps(asdict(found))


@pytest.mark.parametrize(
    ("low", "band"),
    [(0, "0-2"), (2, "0-2"), (3, "3-9"), (9, "3-9"), (10, "10-19"), (69, "60-69"), (90, "70+")],
)
def test_a_label_belongs_to_the_band_that_it_begins_in(low: float, band: str) -> None:
    assert true_band(_label(low, low + 1)) == band


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
def test_children_are_a_group_whatever_their_gender(
    low: float, gender: TrueGender | None, name: str | None
) -> None:
    assert group(_label(low, low + 1, gender)) == name
    assert name is None or name in GROUPS


@pytest.mark.parametrize(
    ("height", "band"), [(0, 0), (23.9, 0), (24, 1), (47.9, 2), (48, 3), (95.9, 4), (96, 5), (2_000, 5)]
)
def test_a_face_belongs_to_the_band_of_its_height(height: float, band: int) -> None:
    assert size_band(height) == SIZE_BANDS[band]


def test_the_plot_shows_each_row_in_percent() -> None:
    counts = [[0] * len(AGE_BANDS) for _ in TRUE_BANDS]
    counts[3][2], counts[3][3] = 3, 1
    texts = [one.text for one in ET.fromstring(confusion_svg(counts)).iter() if one.tag.endswith("text")]  # noqa: S314
    assert {"75", "25", "20-29 (4)", "0-2 (0)"} <= set(texts)
    assert "100" not in texts


def test_a_report_is_written_into_a_folder_that_need_not_exist(tmp_path: Path) -> None:
    found = evaluated([Classified(_label(33, 34), _result(41)), Classified(_label(3, 4), None, "no picture")])
    path = write_report(found, "faces", tmp_path / "new" / "folder")
    text = path.read_text(encoding="utf-8")
    assert text == markdown(found, "faces")
    assert "2 pictures: 1 faces classified, 0 without a face, 1 not readable" in text
    assert "| 30-39 | 1 | 1 | 7.0 | +7.0 | - | - | 100 % | 0 % | 100 % |" in text
    assert "- `a.jpg`: no picture" in text
    assert (path.parent / "confusion.svg").read_text().startswith("<svg")
