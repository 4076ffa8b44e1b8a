"""Counts that hide small numbers, for publication.

For each camera and period, the answer has the finest of these levels in which no number is below the minimum:

1. by age and gender;
2. by gender;
3. all visits together;
4. only the fact that there were fewer than the minimum.

So no published number can be subtracted from another to reveal a hidden one. Counts of 0 are left out.

This holds for one period. Counts by minute and by hour could be subtracted from each other, so publish only
one of them.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from agegender.shared.store.counts import PERIODS, Count, Period

NOTHING_LEFT_OUT = 1
"""The minimum with which every count is published as it is."""
SETTLED_S = 600.0
"""The counts of a period no longer change this long after its end, because late results have arrived."""


@dataclass(frozen=True, slots=True)
class GivenCount:
    """A number of visits, or an upper bound."""

    start_s: float
    """The beginning of the minute, hour or day, seconds since 1970 UTC."""
    camera_id: str
    age_band: str | None
    """None: all ages together."""
    gender: str | None
    """None: all genders together."""
    visits: int | None
    """None: at least one, and fewer than `fewer_than`."""
    fewer_than: int | None = None


def checked_least(least: int) -> int:
    """Returns `least`; raises ValueError if it would hide nothing."""
    if least < 1 or least == 2:
        raise ValueError(
            f"expected 1 (publish every count) or at least 3, got {least}: "
            "a threshold of 2 would reveal that the count is 1"
        )
    return least


def given_out(counts: Iterable[Count], least: int, by: Period, now_s: float) -> Sequence[GivenCount]:
    """The counts to publish, by time and camera.

    Args:
        counts: all numbers above 0 of each camera and period, in the order of `Count.order`.
        least: the smallest number to publish; 1: publish every count.
        by: the period of `counts`.
        now_s: with a `least` above 1, periods that ended less than `SETTLED_S` before are left out. Repeated
            requests would otherwise show each single visit begin.

    Raises:
        ValueError: `least` is 2 or below 1.
    """
    if checked_least(least) == NOTHING_LEFT_OUT:
        return [
            GivenCount(one.start_s, one.camera_id, one.age_band, one.gender, one.visits) for one in counts
        ]
    until_s = now_s - SETTLED_S - PERIODS[by].length_s
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
