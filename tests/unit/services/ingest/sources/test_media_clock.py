"""The time of a video file goes forward, whatever its own clock does."""

from __future__ import annotations

import pytest

from agegender.services.ingest.sources.media_clock import MediaClock


def times(*read_s: float | None) -> list[float]:
    clock = MediaClock(0.1)
    return [round(clock.advance(one), 3) for one in read_s]


def test_an_even_clock_is_kept() -> None:
    assert times(0.0, 0.1, 0.25, 0.3, 5.0) == [0.0, 0.1, 0.25, 0.3, 5.0]


def test_joined_recordings_follow_each_other() -> None:
    first = [0.0, 0.1, 0.2]
    longer = [0.0, 0.1, 0.2, 0.3, 0.4]
    assert times(*first, *longer, *first) == pytest.approx([n / 10 for n in range(11)])


def test_frames_out_of_order_add_no_time() -> None:
    assert times(0.3, 0.4, 1.0, 0.5, 1.1, 1.2) == [0.3, 0.4, 1.0, 1.1, 1.101, 1.2]


def test_a_clock_that_stands_goes_on_by_frames() -> None:
    assert times(0.0, 0.0, 0.0) == pytest.approx([0.0, 0.1, 0.2])


def test_frames_without_a_time_follow_the_rate() -> None:
    assert times(None, None, None) == pytest.approx([0.0, 0.1, 0.2])
