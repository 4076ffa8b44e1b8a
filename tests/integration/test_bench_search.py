"""The benchmark of the search runs and prints ratios; no speed is judged."""

from __future__ import annotations

from benchmarks.throughput.search import compare, each_size, each_smallest_face, still_scenes, table_of
from tests.support.availability import ServerUnavailableError, skip_or_fail
from tests.support.faces import portraits


def test_our_search_is_compared_with_opencv_at_each_size() -> None:
    try:
        compared = list(each_size([portraits(2)], rounds=1))
    except ServerUnavailableError as error:
        skip_or_fail(error)
    assert [one.other for one in compared] == ["OpenCV"] * 3
    assert all(0 < one.ratio == one.least == one.largest for one in compared)
    assert table_of(compared).row_count == 3


def test_searches_for_larger_faces_are_compared_with_the_usual_one() -> None:
    compared = list(each_smallest_face([portraits(2)], rounds=1))
    assert [one.other for one in compared] == ["at 960 px"] * 4


def test_detect_before_still_scenes_is_compared_with_a_search_each() -> None:
    compared = list(still_scenes([portraits(2, 128)], rounds=1))
    assert [one.other for one in compared] == ["DETECT_STILL_S=0"] * 2


def test_a_ratio_is_the_median_of_rounds_taken_in_turns() -> None:
    order: list[str] = []

    def work(name: str) -> None:
        order.append(name)
        sum(range(10_000))

    compared = compare("one", "other", lambda: work("a"), lambda: work("b"), rounds=3)
    assert order == ["a", "b"] * 4
    assert compared.least <= compared.ratio <= compared.largest
