"""When a batch is complete: it is full, old enough, or the runner stops."""

from __future__ import annotations

import functools
import itertools
import threading
import time
from collections.abc import Iterator

import pytest

from agegender.shared.errors import NotNow
from agegender.shared.runtime import runner
from agegender.shared.runtime.backoff import Backoff
from agegender.shared.runtime.runner import BatchLimits
from tests.support.runner_bench import CLOSES, OPENS, Bench


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "Backoff", functools.partial(Backoff, first_s=0.02, max_s=0.2))


def test_a_stop_finishes_the_batch_in_hand_and_takes_no_other() -> None:
    bench = Bench(BatchLimits(2))
    bench.put(0, 1, 2)
    bench.watch.on("stage.process", bench.stop.set)
    bench.run()
    assert bench.sent == [0, 1]
    assert bench.uncommitted == [2]


def test_a_stop_while_the_output_is_down_has_time_to_finish() -> None:
    bench = Bench()
    bench.put(0)
    bench.watch.on("output.write", bench.stop.set)
    bench.watch.fail("output.write", [NotNow("away"), NotNow("away")])
    bench.run()
    assert bench.sent == [0]
    assert bench.uncommitted == []


def test_a_stop_gives_up_after_the_grace_and_commits_nothing(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(grace_s=0.3)
    bench.put(0, 1)
    bench.watch.on("output.write", bench.stop.set)
    bench.watch.fail("output.write", itertools.repeat(NotNow("away")))
    started_s = time.monotonic()
    bench.run()
    assert 0.3 <= time.monotonic() - started_s < 2
    assert bench.uncommitted == [0, 1]
    assert bench.watch.calls[-3:] == CLOSES
    assert "stopped with a batch that is not committed" in caplog.text


def _away_for(seconds: float) -> Iterator[NotNow]:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        yield NotNow("away")


def test_the_grace_is_for_the_whole_batch_and_not_for_each_step() -> None:
    bench = Bench(grace_s=0.3)
    bench.put(0)
    bench.watch.on("stage.process", bench.stop.set)
    for step in ("stage.process", "output.write", "letters.write", "source.commit"):
        bench.watch.fail(step, _away_for(0.25))
    bench.run()
    assert "output.write" in bench.watch.calls
    assert "letters.write" not in bench.watch.calls
    assert bench.uncommitted == [0]


@pytest.mark.parametrize("call", [*OPENS, "source.poll"])
def test_a_stop_with_nothing_in_hand_waits_for_nobody(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "Backoff", functools.partial(Backoff, first_s=30.0, max_s=30.0))
    bench = Bench()
    bench.put(0)
    bench.watch.fail(call, itertools.repeat(NotNow("away")))
    timer = threading.Timer(0.3, bench.stop.set)
    timer.start()
    started_s = time.monotonic()
    bench.run()
    assert time.monotonic() - started_s < 2
    assert bench.uncommitted == [0]
    assert bench.watch.calls[-3:] == CLOSES


def test_a_batch_is_processed_as_soon_as_it_is_full() -> None:
    bench = Bench(BatchLimits(3, max_wait_s=20))
    bench.put(*range(6))
    bench.run()
    assert bench.stage.batch_sizes == [3, 3]


def test_a_batch_waits_its_time_for_more() -> None:
    bench = Bench(BatchLimits(3, max_wait_s=0.7))
    bench.put(0)
    bench.watch.on("source.poll", lambda: bench.put(1), nth=2)
    bench.watch.on("stage.process", bench.stop.set)
    started_s = time.monotonic()
    bench.runner.run(bench.stop)
    assert 0.7 <= time.monotonic() - started_s < 3
    assert bench.stage.batch_sizes == [2]


def test_a_batch_waits_from_its_first_message_on() -> None:
    bench = Bench(BatchLimits(20, max_wait_s=0.2))
    numbers = itertools.count()

    def slowly_one_more() -> None:
        bench.stop.wait(0.05)
        bench.put(next(numbers))

    bench.watch.on("source.poll", slowly_one_more)
    bench.watch.on("stage.process", bench.stop.set)
    bench.runner.run(bench.stop)
    (size,) = bench.stage.batch_sizes
    assert size < 20


def test_a_batch_that_fills_in_parts_is_never_too_large() -> None:
    bench = Bench(BatchLimits(3, max_wait_s=20))
    bench.put(0)
    bench.watch.on("source.poll", lambda: bench.put(1, 2, 3, 4, 5), nth=2)
    bench.watch.on("stage.process", bench.stop.set, nth=2)
    bench.runner.run(bench.stop)
    assert bench.stage.batch_sizes == [3, 3]


def test_a_stop_does_not_wait_for_a_batch_to_fill() -> None:
    bench = Bench(BatchLimits(3, max_wait_s=30))
    bench.put(0)
    timer = threading.Timer(0.1, bench.stop.set)
    timer.start()
    started_s = time.monotonic()
    bench.runner.run(bench.stop)
    assert time.monotonic() - started_s < 3
    assert bench.sent == [0]
    assert bench.uncommitted == []


def test_without_a_waiting_time_a_batch_is_what_is_there() -> None:
    bench = Bench(BatchLimits(100))
    bench.put(0, 1)
    bench.watch.on("stage.process", lambda: bench.put(2, 3, 4), nth=1)
    bench.watch.on("stage.process", bench.stop.set, nth=2)
    bench.runner.run(bench.stop)
    assert bench.stage.batch_sizes == [2, 3]
