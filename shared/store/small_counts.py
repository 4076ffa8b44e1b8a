"""Counts as they may be given out: nobody can tell from them how many a small count stands for.

Of each camera and stretch of time, the finest of these is given in which no number is under the least: by age
and gender; by gender; everybody together; nothing but that there were fewer than the least. So nothing that
is given adds up with something that is not. A 0 stays a 0, and is left out.

It holds for what is given out once. The same visits by the minute and by the hour could be subtracted from
each other: whoever gives out both gives out the difference.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from agegender.shared.store.counts import STEPS, Count, Period

NOTHING_LEFT_OUT = 1
"""The least count with which everything is given as it is."""
SETTLED_S = 600.0
"""So long after its end the counts of a stretch move no more: the answers on late visits are in."""


@dataclass(frozen=True, slots=True)
class GivenCount:
    """A number of persons, or how few there were at most."""

    start_s: float
    """The beginning of the minute, hour or day, seconds since 1970 UTC."""
    camera_id: str
    age_band: str | None
    """None: all ages together."""
    gender: str | None
    """None: all genders together."""
    visits: int | None
    """None: fewer than `fewer_than`, and at least one."""
    fewer_than: int | None = None


def checked_least(least: int) -> int:
    """`least` itself; raises ValueError for one that hides nothing."""
    if least < 1 or least == 2:
        raise ValueError(
            f"expected 1 (nothing is left out) or 3 and more, got {least}: "
            "of those who are fewer than 2 and not none there is always 1"
        )
    return least


def given_out(counts: Iterable[Count], least: int, by: Period, now_s: float) -> Sequence[GivenCount]:
    """What may be given out of `counts`, by time and camera.

    Args:
        counts: all numbers above 0 of each camera and stretch, in the order of `Count.order`.
        least: the smallest number given out; 1: all as they are.
        by: what `counts` are by.
        now_s: with a `least` above 1, stretches that ended less than `SETTLED_S` before are left out: whoever
            asks again and again would see one person come.

    Raises:
        ValueError: `least` is 2 or under 1.
    """
    if checked_least(least) == NOTHING_LEFT_OUT:
        return [
            GivenCount(one.start_s, one.camera_id, one.age_band, one.gender, one.visits) for one in counts
        ]
    until_s = now_s - SETTLED_S - STEPS[by].length_s
    settled = (one for one in counts if one.start_s <= until_s)
    rows = itertools.groupby(settled, key=lambda one: (one.start_s, one.camera_id))
    return [given for (start_s, camera_id), row in rows for given in _row(start_s, camera_id, [*row], least)]


_Part = tuple[str | None, str | None]

_DETAILS: tuple[Callable[[Count], _Part], ...] = (
    lambda one: (one.age_band, one.gender),
    lambda one: (None, one.gender),
    lambda _: (None, None),
)


def _row(start_s: float, camera_id: str, counts: Sequence[Count], least: int) -> Iterator[GivenCount]:
    for part_of in _DETAILS:
        sums: Counter[_Part] = Counter()
        for one in counts:
            sums[part_of(one)] += one.visits
        if min(sums.values()) >= least:
            for (age_band, gender), visits in sums.items():
                yield GivenCount(start_s, camera_id, age_band, gender, visits)
            return
    yield GivenCount(start_s, camera_id, None, None, None, fewer_than=least)
