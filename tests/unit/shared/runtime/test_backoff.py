"""Waits grow, stay bounded and differ from worker to worker."""

from __future__ import annotations

import random

from agegender.shared.runtime.backoff import Backoff


class _Whole(random.Random):
    """Chance that never shortens a wait."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


def test_waits_double_up_to_the_longest() -> None:
    backoff = Backoff(first_s=0.2, max_s=1.0, rng=_Whole())
    assert [backoff.next_s() for _ in range(5)] == [0.2, 0.4, 0.8, 1.0, 1.0]


def test_after_a_success_the_next_wait_is_short_again() -> None:
    backoff = Backoff(first_s=0.2, max_s=1.0, rng=_Whole())
    for _ in range(4):
        backoff.next_s()
    backoff.reset()
    assert backoff.next_s() == 0.2


def test_chance_shortens_each_wait_to_no_less_than_half() -> None:
    backoff = Backoff(first_s=1.0, max_s=1.0, rng=random.Random(1))  # noqa: S311
    waits_s = [backoff.next_s() for _ in range(200)]
    assert min(waits_s) >= 0.5
    assert max(waits_s) <= 1.0
    assert max(waits_s) - min(waits_s) > 0.4


def test_two_workers_do_not_wait_in_step() -> None:
    assert Backoff().next_s() != Backoff().next_s()


def test_a_first_wait_longer_than_the_longest_is_cut() -> None:
    assert Backoff(first_s=9.0, max_s=2.0, rng=_Whole()).next_s() == 2.0
