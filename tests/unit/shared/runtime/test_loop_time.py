"""Every second of a loop counts under one step."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry

from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.loop_time import LoopTime

NAME = "agegender_loop_seconds_total"


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@pytest.fixture
def clock() -> Callable[[], float]:
    """Goes on by a second at each look."""
    seconds = iter(range(100))
    return lambda: float(next(seconds))


def test_each_step_lasts_until_the_next_begins(metrics: Metrics, clock: Callable[[], float]) -> None:
    time = LoopTime("detect", metrics, clock)
    for step in ("wait", "process", "write", "commit", "wait", None):
        time.turn_to(step)
    assert metrics.by_label(NAME, "step") == {"wait": 2, "process": 1, "write": 1, "commit": 1, "hold": 0}


def test_a_step_that_is_interrupted_goes_on_under_its_name(
    metrics: Metrics, clock: Callable[[], float]
) -> None:
    time = LoopTime("detect", metrics, clock)
    time.turn_to("write")
    before = time.turn_to("hold")
    assert before == "write"
    time.turn_to(before)
    time.turn_to(None)
    assert metrics.by_label(NAME, "step") == {"wait": 0, "process": 0, "write": 2, "commit": 0, "hold": 1}


def test_no_time_counts_before_the_first_and_after_the_last_step(
    metrics: Metrics, clock: Callable[[], float]
) -> None:
    time = LoopTime("detect", metrics, clock)
    assert time.turn_to("wait") is None
    time.turn_to(None)
    time.turn_to("process")
    assert metrics.total(NAME) == 1
