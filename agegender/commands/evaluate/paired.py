"""Two packs or models compared on the same faces: face by face, so that hard faces weigh on both alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agegender.commands.evaluate.answers import Answer, Classified
from agegender.commands.evaluate.bootstrap import Bootstrap, Estimate
from agegender.commands.evaluate.dataset import Label
from agegender.commands.evaluate.groups import BY_GENDER, BY_SIZE, BY_TRUE_AGE, Pair, Split
from agegender.commands.evaluate.metrics import CLOSE_YEARS, covered, error_years, likelier_right

ValueOf = Callable[[Label, Answer], float]
IsCounted = Callable[[Label, Answer], bool]


@dataclass(frozen=True)
class Difference:
    """One figure of both, and that of B less that of A."""

    a: float
    b: float
    difference: Estimate

    @property
    def is_clear(self) -> bool:
        """Whether the interval of the difference lies on one side of 0."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and (low > 0 or high < 0)


@dataclass(frozen=True)
class Differences:
    """Some labelled faces that both classified. None where there is nothing to take the mean of."""

    faces: int
    age_error_years: Difference | None
    age_close: Difference | None
    """CS@5, see `Scores`."""
    age_bias_years: Difference | None
    interval_years: Difference | None
    covered: Difference | None
    likelier_right: Difference | None
    gender_unknown: Difference | None


@dataclass(frozen=True)
class Comparison:
    """Two packs or models on the same pictures."""

    only_a: int
    """Faces that A alone classified."""
    only_b: int
    overall: Differences
    groups: Mapping[str, Mapping[str, Differences]]
    """What the faces are split by → group → differences; by the label, never by what either read."""


def compared(a: Sequence[Classified], b: Sequence[Classified], splits: Sequence[Split] = ()) -> Comparison:
    """The differences of B and A.

    Args:
        a: for each labelled picture, in the order of the labels.
        b: the same.
        splits: further ways to split the faces.
    """
    both: list[tuple[Label, Answer, Answer]] = []
    only = [0, 0]
    for one, other in zip(a, b, strict=True):
        answered = [_answered(one), _answered(other)]
        if answered[0] is not None and answered[1] is not None:
            both.append((one.label, answered[0], answered[1]))
        for at, (mine, theirs) in enumerate((answered, answered[::-1])):
            only[at] += mine is not None and theirs is None
    pairs: list[Pair] = [(label, answer) for label, answer, _ in both]
    return Comparison(
        only_a=only[0],
        only_b=only[1],
        overall=differences(both),
        groups={
            split.title: {
                name: differences([both[at] for at in positions])
                for name, positions in split.parts(pairs).items()
            }
            for split in (BY_TRUE_AGE, BY_GENDER, BY_SIZE, *splits)
        },
    )


def differences(faces: Sequence[tuple[Label, Answer, Answer]]) -> Differences:
    """The differences over faces with the answers of A and of B."""
    drawn = Bootstrap(len(faces))

    def difference(of: ValueOf, is_counted: IsCounted = lambda *_: True) -> Difference | None:
        chosen = [is_counted(label, a) and is_counted(label, b) for label, a, b in faces]
        values_a, values_b = [of(label, a) for label, a, _ in faces], [of(label, b) for label, _, b in faces]
        mean_a, mean_b = drawn.mean(values_a, chosen), drawn.mean(values_b, chosen)
        apart = drawn.difference(values_b, values_a, chosen)
        if mean_a is None or mean_b is None or apart is None:
            return None
        return Difference(mean_a.value, mean_b.value, apart)

    return Differences(
        faces=len(faces),
        age_error_years=difference(lambda label, one: abs(_error(label, one))),
        age_close=difference(lambda label, one: abs(_error(label, one)) <= CLOSE_YEARS),
        age_bias_years=difference(_error),
        interval_years=difference(_width_years, _has_interval),
        covered=difference(covered, _has_interval),
        likelier_right=difference(
            likelier_right,
            lambda label, one: label.gender is not None and one.male_probability is not None,
        ),
        gender_unknown=difference(
            lambda _, one: one.gender == "unknown", lambda label, _: label.gender is not None
        ),
    )


def _answered(one: Classified) -> Answer | None:
    return one.answer if one.answer is not None and one.answer.age_years is not None else None


def _error(label: Label, answer: Answer) -> float:
    if answer.age_years is None:
        raise ValueError("expected a classified face, got one without an age")
    return error_years(label, answer.age_years)


def _has_interval(_: Label, answer: Answer) -> bool:
    return answer.interval_years is not None


def _width_years(_: Label, answer: Answer) -> float:
    low_years, high_years = answer.interval_years or (0.0, 0.0)
    return high_years - low_years
