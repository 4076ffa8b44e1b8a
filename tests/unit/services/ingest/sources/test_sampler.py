"""The sampler holds its rate over every kind of clock."""

from __future__ import annotations

from itertools import accumulate, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender.services.ingest.sources.sampler import Allowance, ForwardTime, Sampler

RATES = st.floats(0.2, 60)
GAPS_S = st.lists(st.one_of(st.floats(0, 0.2), st.floats(-5, 5), st.floats(-1e6, 1e6)), max_size=80)


def picked(fps: float, times_s: list[float]) -> list[float]:
    sampler = Sampler(fps)
    return [time_s for time_s in times_s if sampler.pick(time_s)]


@pytest.mark.parametrize(
    ("fps", "of"), [(5, 25), (7, 25), (24, 25), (12.5, 25), (1, 30), (0.5, 15), (5, 5.5)]
)
@pytest.mark.parametrize("jitter", [0.0, 0.4])
def test_a_fast_stream_gives_the_wanted_rate(fps: float, of: float, jitter: float) -> None:
    rng = np.random.default_rng(1)
    times_s = [(n + rng.uniform(0, jitter)) / of for n in range(int(of * 60))]
    assert len(picked(fps, times_s)) == pytest.approx(fps * 60, rel=0.03)


@pytest.mark.parametrize("of", [0.5, 2, 4.9, 5])
def test_a_stream_no_faster_than_the_rate_gives_all_its_frames(of: float) -> None:
    times_s = [n / of for n in range(100)]
    assert picked(5, times_s) == times_s


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0, 0.7, -0.7])
def test_the_rhythm_goes_on_after_the_clock_jumps(jump_s: float) -> None:
    before = [n / 25 for n in range(250)]
    after = [before[-1] + jump_s + n / 25 for n in range(250)]
    counts = [len(picked(5, before)), len(picked(5, before + after)) - len(picked(5, before))]
    assert counts[0] == 50
    assert 49 <= counts[1] <= 51


def test_a_clock_that_keeps_restarting_does_not_stop_the_frames() -> None:
    """Like a short clip in a loop: its times begin anew with each round."""
    times_s = [n / 25 for n in range(20)] * 50
    assert len(picked(1, times_s)) == pytest.approx(38, abs=2)  # 50 rounds of 0.76 s


@given(RATES, st.floats(-1e9, 1e9), GAPS_S)
def test_no_window_of_time_holds_more_than_its_share_and_two(
    fps: float, start_s: float, gaps_s: list[float]
) -> None:
    passed_s, picks = 0.0, []
    sampler = Sampler(fps)
    for before_s, time_s in pairwise([start_s, *accumulate(gaps_s, initial=start_s)]):
        passed_s += max(0.0, time_s - before_s)
        if sampler.pick(time_s):
            picks.append(passed_s)
    for first in range(len(picks)):
        for last in range(first, len(picks)):
            assert last - first + 1 <= fps * (picks[last] - picks[first] + 1e-5) + 2


@given(RATES, st.floats(-1e9, 1e9), GAPS_S)
def test_a_frame_an_interval_after_the_last_is_picked(
    fps: float, start_s: float, gaps_s: list[float]
) -> None:
    since_pick_s = 0.0
    sampler = Sampler(fps)
    for before_s, time_s in pairwise([start_s, *accumulate(gaps_s, initial=start_s)]):
        since_pick_s += max(0.0, time_s - before_s)
        if sampler.pick(time_s):
            since_pick_s = 0.0
        else:
            assert since_pick_s < 1 / fps + 1e-5


@pytest.mark.parametrize("run", [-1.0, 0.0, -1e6])
def test_our_clock_replaces_one_that_stands_or_runs_backwards(run: float) -> None:
    clock = ForwardTime()
    passed_s = [clock.advance(100 + run * n / 25, 7 + n / 25) for n in range(251)]
    assert passed_s == pytest.approx([n / 25 for n in range(251)])


@given(st.lists(st.floats(-1e6, 1e6)), st.lists(st.floats(0, 1e3)))
def test_the_time_of_a_stream_never_goes_back(times_s: list[float], gaps_s: list[float]) -> None:
    clock = ForwardTime()
    passed_s = [clock.advance(*both) for both in zip(times_s, accumulate(gaps_s), strict=False)]
    assert passed_s == sorted(passed_s)


def test_a_correct_stream_clock_counts_even_if_frames_are_late() -> None:
    clock = ForwardTime()
    assert [clock.advance(n / 25, 0.0) for n in range(50)] == pytest.approx([n / 25 for n in range(50)])


@given(st.floats(0.5, 100), st.floats(1, 50), st.lists(st.floats(0, 0.5), max_size=200))
def test_the_allowance_limits_the_rate_and_the_burst(
    per_s: float, at_once: float, gaps_s: list[float]
) -> None:
    allowance = Allowance(per_s, at_once)
    allowed_s = [now_s for now_s in accumulate(gaps_s) if allowance.take(now_s) == 0]
    for first, since_s in enumerate(allowed_s):
        for last, until_s in enumerate(allowed_s[first:], first):
            assert last - first + 1 <= at_once + (until_s - since_s) * per_s + 1e-6


def test_who_waits_as_long_as_told_is_allowed_the_next_one() -> None:
    allowance, now_s = Allowance(5, 2), 0.0
    for _ in range(100):
        wait_s = allowance.take(now_s)
        if wait_s > 0:
            now_s += wait_s + 1e-9
            assert allowance.take(now_s) == 0
    assert now_s == pytest.approx(98 / 5, rel=0.05)


def test_one_that_stays_below_is_never_held_up() -> None:
    allowance = Allowance(5.5, 3)
    assert all(allowance.take(n / 5) == 0 for n in range(1_000))
