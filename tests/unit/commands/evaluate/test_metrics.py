"""Figures of labelled faces that were worked out by hand."""

from __future__ import annotations

from dataclasses import asdict
from json import dumps

import pytest

from agegender.commands.evaluate.answers import Classified
from agegender.commands.evaluate.bootstrap import Estimate
from agegender.commands.evaluate.groups import TRUE_BANDS
from agegender.commands.evaluate.metrics import coverage, error_years, evaluated, scores
from agegender.shared.messages.pipeline import AGE_BANDS
from tests.support.labelled_faces import TOO_SMALL, answer, label


@pytest.mark.parametrize(
    ("age_years", "error"), [(20, 0), (29.9, 0), (30, 0), (30.5, 0.5), (19, -1), (0, -20), (90, 60)]
)
def test_the_error_is_the_distance_to_the_span_of_the_label(age_years: float, error: float) -> None:
    assert error_years(label(20, 30), age_years) == pytest.approx(error)


def test_no_age_is_too_high_for_a_label_without_an_end() -> None:
    assert error_years(label(70, None), 110) == 0
    assert error_years(label(70, None), 65) == -5


@pytest.mark.parametrize(
    ("interval", "share"),
    [((20, 30), 1), ((0, 100), 1), ((25, 40), 0.5), ((22, 23), 0.1), ((30, 40), 0), ((0, 20), 0)],
)
def test_coverage_is_the_share_of_the_span_in_the_interval(
    interval: tuple[float, float], share: float
) -> None:
    assert coverage(label(20, 30), *interval) == pytest.approx(share)


def test_a_label_without_an_end_ends_at_85_years() -> None:
    assert coverage(label(70, None), 60, 77.5) == pytest.approx(0.5)
    assert coverage(label(90, None), 90, 91) == 1


def test_scores_are_the_means_of_what_was_classified() -> None:
    found = scores(
        [
            (label(20, 30), answer(35, (25, 45), "female", 0.1)),
            (label(20, 30, "male"), answer(15, (10, 20), "unknown", 0.6)),
            (label(40, 50, "male"), answer(45, (40, 50), "female", 0.3)),
            (label(40, 50, None), answer(45, (40, 50), "male", 0.9)),
            (label(40, 50), TOO_SMALL),
        ]
    )
    assert (found.faces, found.classified) == (5, 4)
    assert _value(found.age_error_years) == pytest.approx((5 + 5 + 0 + 0) / 4)
    assert _value(found.age_median_years) == 0
    assert _value(found.age_close) == 1
    assert _value(found.age_bias_years) == pytest.approx(0)
    assert found.interval_years == pytest.approx((20 + 10 + 10 + 10) / 4)
    assert _value(found.covered) == pytest.approx((0.5 + 0 + 1 + 1) / 4)
    assert _value(found.gender_right) == pytest.approx(1 / 2), "of the two that were named and labelled"
    assert found.gender_unknown == pytest.approx(1 / 3), "of the three that were labelled"
    assert _value(found.likelier_right) == pytest.approx(2 / 3)
    assert found.exact_error_years is None, "no label names one year"


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value


def test_an_error_of_five_years_counts_as_close() -> None:
    found = scores([(label(30, 31), answer(age)) for age in (25, 24.9, 30.5, 36, 36.1)])
    assert _value(found.age_close) == pytest.approx(3 / 5)


def test_exact_ages_are_measured_from_the_middle_of_their_year() -> None:
    found = scores([(label(30, 31), answer(33)), (label(40, 41), answer(40.5)), (label(20, 30), answer(99))])
    assert _value(found.exact_error_years) == pytest.approx((2.5 + 0) / 2)


def test_figures_of_ten_faces_and_more_have_an_interval() -> None:
    def shown(count: int) -> Estimate | None:
        return scores([(label(30, 31), answer(31 + age)) for age in range(count)]).age_error_years

    few, enough = shown(9), shown(10)
    assert few is not None
    assert few.margin is None
    assert enough is not None
    assert enough.low is not None
    assert enough.high is not None
    assert enough.low < enough.value < enough.high


def test_without_faces_there_are_no_figures_and_nothing_fails() -> None:
    for pairs in ([], [(label(20, 30), TOO_SMALL)]):
        found = scores(pairs)
        assert found.classified == 0
        assert found.age_error_years is found.covered is found.gender_right is found.likelier_right is None


def test_every_picture_is_accounted_for() -> None:
    found = evaluated(
        [
            Classified(label(0, 3, "male", "1.jpg"), answer(4)),
            Classified(label(33, 34, "male", "2.jpg"), answer(41, gender="male", height=30)),
            Classified(label(33, 34, "female", "3.jpg"), TOO_SMALL),
            Classified(label(70, None, name="4.jpg")),
            Classified(label(70, None, name="5.jpg"), None, "no picture"),
        ]
    )
    assert (found.pictures, found.missed, found.unclassified) == (5, 1, {"too-small": 1})
    assert found.unreadable == {"5.jpg": "no picture"}
    assert found.overall.faces == 3
    classified = {
        split: {name: one.classified for name, one in rows.items()} for split, rows in found.groups.items()
    }
    assert classified == {
        "true age": {"0-2": 1, "30-39": 1},
        "age read": {"0-9": 1, "40-49": 1},
        "gender": {"men from 10": 1, "women from 10": 0, "under 10": 1},
        "face height": {"under 24 px": 0, "24-31 px": 1, "96+ px": 1},
    }
    assert sum(map(sum, found.confusion)) == 2
    assert found.confusion[TRUE_BANDS.index("30-39")][AGE_BANDS.index("40-49")] == 1
    assert dumps(asdict(found))
