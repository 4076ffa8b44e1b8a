"""Two packs on the same faces: figures that were worked out by hand."""

from __future__ import annotations

from agegender.commands.evaluate.answers import Classified
from agegender.commands.evaluate.bootstrap import Estimate
from agegender.commands.evaluate.paired import Difference, compared
from tests.support.labelled_faces import TOO_SMALL, answer, label


def _difference(found: Difference | None) -> tuple[float, float, float]:
    assert found is not None
    return round(found.a, 3), round(found.b, 3), round(found.difference.value, 3)


def test_only_faces_that_both_classified_are_compared() -> None:
    woman, man = label(30, 31), label(30, 31, "male")
    a = [Classified(woman, answer(35, (20, 40))), Classified(man, answer(40)), Classified(man, TOO_SMALL)]
    b = [Classified(woman, answer(33, (30, 40), male=0.9)), Classified(man), Classified(man, answer(30))]
    found = compared(a, b)
    assert (found.only_a, found.only_b, found.overall.faces) == (1, 1, 1)
    assert _difference(found.overall.age_error_years) == (4, 2, -2)
    assert _difference(found.overall.interval_years) == (20, 10, -10)
    assert _difference(found.overall.covered) == (1, 1, 0)
    assert _difference(found.overall.likelier_right) == (1, 0, -1)


def test_a_small_but_steady_gain_is_clear() -> None:
    faces = [label(20, 21, name=f"{number}.jpg") for number in range(40)]
    a = [Classified(one, answer(22 + number)) for number, one in enumerate(faces)]
    b = [Classified(one, answer(21.9 + number + number % 2 / 10)) for number, one in enumerate(faces)]
    found = compared(a, b).overall.age_error_years
    assert found is not None
    assert _difference(found)[2] == -0.05
    assert found.is_clear
    again = compared(a, a).overall.age_error_years
    assert again is not None
    assert not again.is_clear


def test_a_difference_that_may_be_nothing_is_not_clear() -> None:
    assert not Difference(1.0, 2.0, Estimate(1.0, 0.0, 2.0)).is_clear
    assert not Difference(1.0, 2.0, Estimate(1.0, None, None)).is_clear
    assert Difference(1.0, 2.0, Estimate(1.0, 0.1, 2.0)).is_clear
    assert Difference(2.0, 1.0, Estimate(-1.0, -2.0, -0.1)).is_clear


def test_groups_are_those_of_the_labels() -> None:
    faces = [label(5, 6), label(30, 31), label(34, 35, "male")]
    answers = [Classified(one, answer(70)) for one in faces]
    groups = compared(answers, answers).groups
    assert {name: one.faces for name, one in groups["true age"].items()} == {"3-9": 1, "30-39": 2}
    assert list(groups) == ["true age", "gender", "face height"]
