"""Calibration: intervals that contain the age, and probabilities that hold."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import agegender.shared.models
from agegender.services.classify.calibration import (
    OLDEST_YEARS,
    Calibration,
    CalibrationError,
    load_calibration,
)
from agegender.services.classify.head import ERRORS_YEARS
from agegender.shared.models import FOLDER, PackName, WeightsError, gender_threshold
from tests.support.made_calibration import calibration

PACKS: tuple[PackName, ...] = get_args(PackName)
STORED = {pack: load_calibration(pack) for pack in PACKS}
AGES = st.floats(-20, 140)
LOGITS = st.floats(-1e6, 1e6)
QUALITIES = st.none() | st.floats(0, 1)
PACK = st.sampled_from(PACKS)
TURNS = st.floats(0, 2) | st.just(math.inf)
ERROR_YEARS = 4.0
ERRORS = st.floats(*ERRORS_YEARS)


@given(AGES, LOGITS, ERRORS, QUALITIES, TURNS, PACK)
def test_every_classification_is_in_range(
    age_years: float, logit: float, error_years: float, quality: float | None, turn: float, pack: PackName
) -> None:
    classification = STORED[pack].classify(age_years, logit, error_years, quality, turn)
    low_years, high_years = classification.interval_years
    assert 0 <= low_years <= classification.age_years <= high_years <= OLDEST_YEARS
    assert 0.5 <= classification.gender_confidence <= 1
    assert classification.gender_confidence == max(
        classification.male_probability, 1 - classification.male_probability
    )
    is_unlikely = classification.gender_confidence < STORED[pack].unknown_below
    assert (classification.gender == "unknown") == is_unlikely


@given(st.floats(0, 100), st.floats(0, 100), st.floats(0, 1), PACK)
def test_an_older_reading_never_has_a_younger_interval(
    one: float, other: float, quality: float, pack: PackName
) -> None:
    younger = STORED[pack].classify(min(one, other), 0, ERROR_YEARS, quality, 0.0).interval_years
    older = STORED[pack].classify(max(one, other), 0, ERROR_YEARS, quality, 0.0).interval_years
    # The tables are rounded to tenths of a year.
    assert younger[0] <= older[0] + 0.11
    assert younger[1] <= older[1] + 0.11


@given(st.floats(0, 100), st.floats(0, 1), st.floats(0, 1), PACK)
def test_a_better_picture_never_has_a_wider_interval(
    age_years: float, one: float, other: float, pack: PackName
) -> None:
    poor = STORED[pack].classify(age_years, 0, ERROR_YEARS, min(one, other), 0.0).interval_years
    good = STORED[pack].classify(age_years, 0, ERROR_YEARS, max(one, other), 0.0).interval_years
    assert poor[0] <= good[0] + 1e-9
    assert good[1] <= poor[1] + 1e-9


@given(st.floats(0, 100), st.floats(0, 1), TURNS, TURNS, PACK)
def test_a_face_turned_less_never_has_a_wider_interval(
    age_years: float, quality: float, one: float, other: float, pack: PackName
) -> None:
    turned = STORED[pack].classify(age_years, 0, ERROR_YEARS, quality, max(one, other)).interval_years
    facing = STORED[pack].classify(age_years, 0, ERROR_YEARS, quality, min(one, other)).interval_years
    assert turned[0] <= facing[0] + 1e-9
    assert facing[1] <= turned[1] + 1e-9


@given(st.floats(0, 100), ERRORS, ERRORS, PACK)
def test_a_smaller_expected_error_never_widens_the_interval(
    age_years: float, one: float, other: float, pack: PackName
) -> None:
    unsure = STORED[pack].classify(age_years, 3, max(one, other), 0.7, 0.0)
    sure = STORED[pack].classify(age_years, 3, min(one, other), 0.7, 0.0)
    assert unsure.interval_years[0] <= sure.interval_years[0] + 1e-9
    assert sure.interval_years[1] <= unsure.interval_years[1] + 1e-9
    assert unsure.gender_confidence <= sure.gender_confidence + 1e-9


@given(LOGITS, LOGITS, st.floats(0, 100), st.floats(0, 1), PACK)
def test_a_larger_logit_is_never_less_male(
    one: float, other: float, age_years: float, quality: float, pack: PackName
) -> None:
    less = STORED[pack].classify(age_years, min(one, other), ERROR_YEARS, quality, 0.0).male_probability
    more = STORED[pack].classify(age_years, max(one, other), ERROR_YEARS, quality, 0.0).male_probability
    assert less <= more


@pytest.mark.parametrize(("age_years", "logit"), [(20, 1.0), (40, 1.5), (60, 2.0)])
def test_a_logit_counts_as_much_as_the_scale_says(age_years: float, logit: float) -> None:
    made = calibration(gender_scale=((0.5, 0.5), (1.0, 1.0)))
    male = made.classify(age_years, 2.0, ERROR_YEARS, 0.5, 0.0).male_probability
    assert male == pytest.approx(1 / (1 + math.exp(-logit)))


def test_a_turned_face_has_a_wider_interval_and_a_weaker_gender() -> None:
    made = calibration(high_years=((10.0, 10.0),) * 2, interval_turn=(1.0, 3.0), gender_turn=(1.0, 0.5))
    halfway, turned = (made.classify(40, 2.0, ERROR_YEARS, 0.5, turn) for turn in (0.5, 1.0))
    assert halfway.interval_years == (40, 60)
    assert turned.interval_years == (40, 70)
    assert turned.male_probability == pytest.approx(1 / (1 + math.exp(-1)))


def test_an_expected_error_widens_the_interval_and_weakens_the_gender() -> None:
    made = calibration(high_years=((10.0, 10.0),) * 2, interval_error=(1.0, 3.0), gender_error=(1.0, 0.5))
    halfway, unsure = (made.classify(40, 2.0, error_years, 0.5, 0.0) for error_years in (5.0, 8.0))
    assert halfway.interval_years == (40, 60)
    assert unsure.interval_years == (40, 70)
    assert unsure.male_probability == pytest.approx(1 / (1 + math.exp(-1)))


def test_ages_are_shifted_before_the_interval_is_looked_up() -> None:
    made = calibration(high_years=((10.0, 10.0), (20.0, 20.0)), age_shift_years=(-2.0, 4.0))
    assert made.classify(20, 0, ERROR_YEARS, 0.5, 0.0).age_years == 18
    middle = made.classify(40, 0, ERROR_YEARS, 0.5, 0.0)
    assert middle.age_years == 41
    assert middle.interval_years == pytest.approx((41, 56.25))


def test_a_shift_that_makes_an_older_reading_younger_is_refused() -> None:
    with pytest.raises(ValidationError, match="an older reading to stay the older one"):
        calibration(age_shift_years=(30.0, -30.0))


def test_both_genders_are_treated_alike() -> None:
    for logit in (0.5, 3.0, 20.0):
        male, female = (
            STORED["default"].classify(30, signed, ERROR_YEARS, 0.7, 0.0) for signed in (logit, -logit)
        )
        assert male.gender_confidence == pytest.approx(female.gender_confidence)
        assert {male.gender, female.gender} in ({"male", "female"}, {"unknown"})


def test_a_face_of_unknown_quality_counts_as_a_poor_one() -> None:
    stored = STORED["default"]
    assert stored.classify(40, 3, ERROR_YEARS, None, 0.0) == stored.classify(40, 3, ERROR_YEARS, 0.0, 0.0)
    assert stored.classify(40, 3, ERROR_YEARS, None, 0.0) != stored.classify(40, 3, ERROR_YEARS, 1.0, 0.0)


@given(st.floats(0, OLDEST_YEARS), st.floats(-30, 30), QUALITIES)
def test_without_corrections_the_readings_stay_what_they_are(
    age_years: float, logit: float, quality: float | None
) -> None:
    classification = calibration().classify(age_years, logit, ERROR_YEARS, quality, 0.0)
    assert classification.age_years == age_years
    assert classification.interval_years == (age_years, age_years)
    assert classification.male_probability == pytest.approx(1 / (1 + math.exp(-logit)))


@pytest.mark.parametrize(
    ("age_years", "quality", "width_years"),
    [(20, 0.8, 10), (60, 0.8, 20), (40, 0.8, 15), (20, 0.2, 30), (40, 0.5, 25), (0, 1.0, 10), (75, 0.0, 40)],
)
def test_values_are_linear_between_knots_and_constant_beyond(
    age_years: float, quality: float, width_years: float
) -> None:
    made = calibration(high_years=((30.0, 10.0), (40.0, 20.0)))
    low_years, high_years = made.classify(age_years, 0, ERROR_YEARS, quality, 0.0).interval_years
    assert low_years == age_years
    assert high_years - low_years == pytest.approx(width_years)


def test_an_interval_ends_at_birth_and_where_people_do() -> None:
    wide = calibration(low_years=((-50.0, -50.0),) * 2, high_years=((50.0, 50.0),) * 2)
    assert wide.classify(3, 0, ERROR_YEARS, 0.5, 0.0).interval_years == (0, 53)
    assert wide.classify(100, 0, ERROR_YEARS, 0.5, 0.0).interval_years == (50, OLDEST_YEARS)


@pytest.mark.parametrize(
    ("logit", "gender"),
    [(3.0, "male"), (-3.0, "female"), (0.8, "unknown"), (-0.8, "unknown"), (0, "unknown")],
)
def test_a_gender_is_named_only_where_it_is_likely_enough(logit: float, gender: str) -> None:
    assert calibration(unknown_below=0.7).classify(30, logit, ERROR_YEARS, 0.5, 0.0).gender == gender


@pytest.mark.parametrize("logit", [0.0, -0.0])
def test_equal_probabilities_give_male_without_threshold(logit: float) -> None:
    """At exactly 0.5 the gender is `male`, as `Tally.verdict` has it for tracks."""
    classification = calibration(unknown_below=0.5).classify(30, logit, ERROR_YEARS, 0.5, 0.0)
    assert (classification.male_probability, classification.gender) == (0.5, "male")


def test_a_gender_exactly_at_the_threshold_is_named() -> None:
    logit = 2.0
    male = calibration().classify(30, logit, ERROR_YEARS, 0.5, 0.0).male_probability
    made = calibration(unknown_below=male)
    assert made.classify(30, logit, ERROR_YEARS, 0.5, 0.0).gender == "male"
    assert made.classify(30, logit - 1e-6, ERROR_YEARS, 0.5, 0.0).gender == "unknown"


@pytest.mark.parametrize("knots", [(20.0, 20.0), (60.0, 20.0)])
def test_knots_that_do_not_grow_are_refused(knots: tuple[float, float]) -> None:
    fields = json.loads(calibration().model_dump_json())
    with pytest.raises(ValidationError, match="knots in increasing order"):
        Calibration.model_validate({**fields, "age_knots_years": knots})


@pytest.mark.parametrize("pack", PACKS)
def test_every_pack_names_genders_from_the_same_threshold(pack: PackName) -> None:
    assert STORED[pack].unknown_below == gender_threshold()


@pytest.mark.parametrize("values", [{"interval_turn": [1.0] * 3}, {"gender_scale": [[1.0] * 3] * 2}])
def test_values_that_do_not_fit_the_knots_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="expected 2 "):
        Calibration.model_validate({**json.loads(calibration().model_dump_json()), **values})


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder of weights in place of the real one, which tests may damage."""
    folder = tmp_path / "models"
    shutil.copytree(FOLDER, folder)
    monkeypatch.setattr(agegender.shared.models, "FOLDER", folder)
    return folder / "calibration_default.json"


def test_a_changed_calibration_is_noticed_and_the_file_named(copied: Path) -> None:
    copied.write_text(copied.read_text().replace("0.7", "0.8", 1))
    with pytest.raises(
        WeightsError,
        match=r"calibration_default\.json, is damaged: expected sha256 .* tools\.packs\.calibrate",
    ):
        load_calibration("default")


def test_a_missing_calibration_is_named(copied: Path) -> None:
    copied.unlink()
    with pytest.raises(
        WeightsError, match=r"the calibration of default cannot be read: .*calibration_default\.json"
    ):
        load_calibration("default")


def test_a_calibration_of_another_pack_is_refused(copied: Path) -> None:
    manifest = copied.parent / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"default-1"', '"default-0"'))
    with pytest.raises(CalibrationError, match=r"made for the nets 'default-1', and these are 'default-0'"):
        load_calibration("default")


@pytest.mark.parametrize(
    "change",
    [
        {"unknown_below": 1.0},
        {"age_knots_years": [1.0]},
        {"age_knots_years": [2.0, 8.0]},
        {"quality_knots": [1.0, 0.7, 0.4, 0.1]},
        {"extra": 1},
    ],
)
def test_a_calibration_of_another_form_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Calibration.model_validate({**json.loads(STORED["default"].model_dump_json()), **change})
