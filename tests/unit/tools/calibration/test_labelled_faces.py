"""What labels say of faces, and the halves that the tools measure on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from agegender.commands.evaluate.dataset import Label
from agegender.commands.evaluate.metrics import coverage
from tools.calibration.compare_accuracy import Read, Row, measured
from tools.calibration.labelled_faces import HALVES, halves, known
from tools.calibration.sized_faces import SizedFaces

LABELS = (
    Label(Path("a"), 20.0, 30.0, "female"),
    Label(Path("b"), 70.0, None, "male"),
    Label(Path("c"), 90.0, None, "male"),
)
FACES = known(list(enumerate(LABELS)))


def test_an_age_inside_the_span_of_its_label_is_no_error() -> None:
    assert FACES.off_years(np.array([25.0, 99.0, 80.0])) == pytest.approx([0, 0, -10])
    assert FACES.off_years(np.array([33.0, 64.0, 95.0])) == pytest.approx([3, -6, 0])


@pytest.mark.parametrize(("low_years", "high_years"), [(18.0, 24.0), (60.0, 100.0), (90.5, 90.6)])
def test_intervals_hold_people_as_the_evaluation_has_it(low_years: float, high_years: float) -> None:
    expected = [coverage(label, low_years, high_years) for label in LABELS]
    assert FACES.covered(np.full(3, low_years), np.full(3, high_years)) == pytest.approx(expected)


def test_the_faces_of_a_person_stay_on_one_side_of_every_split() -> None:
    person = np.repeat(np.arange(30), 3)
    splits = list(halves(person))
    assert len({split.tobytes() for split in splits}) == HALVES
    for first in splits:
        assert set(person[first]).isdisjoint(person[~first])
        assert len(set(person[first])) == 15


def test_what_is_chosen_on_one_half_is_reported_on_the_other() -> None:
    count = 40
    truth = known([(person, LABELS[0]) for person in range(count)])
    faces = SizedFaces(**vars(truth), full_size=np.full(count, True))
    # Each candidate is right for every other person and ten years off for the rest. Whichever does better
    # on the first half does worse, by as much, on the other: only a figure that cheats gets under 5 years.
    even = np.arange(count) % 2 == 0
    candidates = {
        name: Read(np.where(right, 25.0, 40.0), np.full(count, -1.0), 1.0)
        for name, right in (("even", even), ("odd", ~even))
    }
    figures = measured(Row("", candidates), faces)
    assert figures.error_years > 5
    assert set(figures.chosen) == {"even", "odd"}
    assert sum(figures.chosen.values()) == HALVES
    assert figures.right == 1
