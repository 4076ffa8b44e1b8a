"""Training brings a head nearer to the labels, and does the same each time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from agegender.services.classify.head import Head, Members, Readings, load_head
from tools.packs.training import Course, Lessons, off_years, together, train, train_errors

PUBLISHED = load_head("default").published
ERRORS = load_head("default").errors


def _lessons(count: int = 512) -> Lessons:
    """People whose age and gender lie in one feature each; nets A and B know nothing."""
    rng = np.random.default_rng(4)
    features = rng.uniform(0, 1, (count, 1024)).astype(np.float32)
    low_years = np.floor(20 + 40 * features[:, 0])
    nothing = np.zeros(count, np.float32)
    return Lessons(
        readings=Readings(np.full(count, 40, np.float32), nothing, nothing, features),
        low_years=low_years,
        end_years=low_years + 1,
        male=(features[:, 1] > 0.5).astype(np.float32),
        weight=np.ones(count, np.float32),
        copied=np.zeros(count, np.bool_),
        person=np.arange(count),
    )


def _trained(course: Course, seed: int = 0) -> Head:
    return _head(train(_lessons(), PUBLISHED, course, seed))


def _head(members: Members) -> Head:
    return Head(PUBLISHED, members, ERRORS)


def test_training_learns_what_the_labels_teach() -> None:
    lessons = _lessons()
    untrained, trained = (
        _trained(Course(epochs, fits_age=True)).predict(lessons.readings) for epochs in (1, 12)
    )
    off_before, off_after = (
        np.abs(one.age_years - lessons.low_years - 0.5).mean() for one in (untrained, trained)
    )
    assert off_after < off_before - 1
    right = (trained.male_logit > 0) == (lessons.male > 0.5)
    assert right.mean() > 0.85


def test_the_same_seed_gives_the_same_bytes_and_another_others() -> None:
    course = Course(1, fits_age=True)
    assert _trained(course).to_bytes() == _trained(course).to_bytes()
    assert _trained(course).to_bytes() != _trained(course, seed=1).to_bytes()


def test_a_course_without_age_leaves_the_age_alone() -> None:
    members = train(_lessons(), PUBLISHED, Course(2, fits_age=False), 0)
    for weights in (members.output_weights, members.skip_weights):
        assert np.all(weights[..., 0] == 0)
    assert members.output_bias[0, 0] == 0
    assert members.output_bias[0, 1] != 0


def test_members_stand_side_by_side() -> None:
    course = Course(1, fits_age=True)
    one, other = (train(_lessons(), PUBLISHED, course, seed) for seed in (0, 1))
    readings = _lessons().readings
    both = _head(together([one, other])).predict(readings)
    alone = [_head(members).predict(readings).age_years for members in (one, other)]
    assert both.age_years == pytest.approx(np.mean(alone, axis=0), abs=1e-3)


def test_expected_errors_follow_the_faces_that_are_far_off() -> None:
    lessons = _lessons()
    rare = np.arange(512) % 2 == 0
    lessons.readings.features_c[rare, 2:60] += 1
    off = np.where(rare, 12, 3).astype(np.float32)
    head = Head(
        PUBLISHED,
        train(lessons, PUBLISHED, Course(1, fits_age=True), 0),
        train_errors(lessons, PUBLISHED, Course(1, fits_age=True), off, 0),
    )
    expected = head.predict(lessons.readings).error_years
    assert expected[rare].mean() > 1.5 * expected[~rare].mean()


@pytest.mark.parametrize(
    ("age_years", "low_years", "end_years", "off"),
    [(25, 20, 30, 2.5), (30, 20, 30, 5), (20, 20, 30, 5), (40, 20, 30, 15), (30.5, 30, 31, 0.25)],
)
def test_how_far_off_an_age_is_counts_the_whole_span(
    age_years: float, low_years: float, end_years: float, off: float
) -> None:
    span = replace(
        _lessons(1),
        low_years=np.array([low_years], np.float32),
        end_years=np.array([end_years], np.float32),
    )
    assert off_years(np.array([age_years], np.float32), span) == pytest.approx([off])
