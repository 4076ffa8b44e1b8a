"""Work on several threads, results in order."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from agegender.analysis.ordered import in_order


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as made:
        yield made


def test_results_come_in_order_whoever_is_faster(pool: ThreadPoolExecutor) -> None:
    later_ones_are_done = threading.Barrier(4)

    def work(item: int) -> int:
        if item < 4:
            later_ones_are_done.wait(timeout=5)
        return item * item

    assert list(in_order(pool, work, range(40), 8)) == [item * item for item in range(40)]
    assert list(in_order(pool, work, [], 8)) == []


def test_no_more_items_are_taken_than_allowed(pool: ThreadPoolExecutor) -> None:
    taken: list[int] = []
    hold = threading.Event()

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    def work(item: int) -> int:
        if item:
            hold.wait(timeout=5)
        return item

    results = in_order(pool, work, items(), 6)
    assert next(results) == 0
    assert len(taken) <= 7
    hold.set()
    assert list(results) == list(range(1, 100))


def test_what_came_before_an_error_of_the_items_is_not_lost(pool: ThreadPoolExecutor) -> None:
    broken = threading.Event()

    def items() -> Iterator[int]:
        yield from range(3)
        broken.set()
        raise ValueError("broken after three")

    def work(item: int) -> int:
        assert broken.wait(timeout=5)
        return item

    results = in_order(pool, work, items(), 8)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="broken after three"):
        next(results)


def test_an_error_of_the_work_comes_in_its_place(pool: ThreadPoolExecutor) -> None:
    results = in_order(pool, lambda item: 10 // item, [5, 2, 0, 1], 8)
    assert [next(results), next(results)] == [2, 5]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_work_that_nobody_waits_for_is_not_begun() -> None:
    begun: list[int] = []
    hold = threading.Event()

    def work(item: int) -> int:
        begun.append(item)
        if item == 1:
            hold.wait(timeout=5)
        return item

    with ThreadPoolExecutor(1) as pool:
        results = in_order(pool, work, range(10), 5)
        assert next(results) == 0
        results.close()  # type: ignore[attr-defined]
        hold.set()
    assert len(begun) <= 2
