"""When the sink may close visits that have timed out."""

from __future__ import annotations

from collections.abc import Iterable

from agegender.services.sink.silence_timeout import SilenceTimeout


def sweeps(times_s: Iterable[float], timeout_s: float = 20.0) -> list[float]:
    silence_timeout = SilenceTimeout(timeout_s)
    return [now_s for now_s in times_s if silence_timeout.claim_sweep(now_s)]


def test_a_sink_sweeps_every_five_seconds_after_the_timeout() -> None:
    assert sweeps(range(1_000, 1_040)) == [1_020, 1_025, 1_030, 1_035]


def test_after_a_break_it_has_to_listen_as_long_again() -> None:
    assert sweeps([*range(1_000, 1_025), *range(1_036, 1_060)]) == [1_020, 1_056]
    assert sweeps([*range(1_000, 1_022), *range(1_031, 1_034)]) == [1_020, 1_031]


def test_a_clock_that_was_set_back_is_a_break() -> None:
    assert sweeps([*range(1_000, 1_022), *range(500, 523)]) == [1_020, 520]
