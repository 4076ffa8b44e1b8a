"""The loop of every service: nothing is committed before it is safe, and nothing is lost or doubled."""

from __future__ import annotations

import functools
import itertools
import logging
import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from prometheus_client import CollectorRegistry

from shared import runner
from shared.backoff import Backoff
from shared.codec import FRAME_CODEC, Encoded
from shared.dead_letters import DeadLetter, DeadLetterLimit, LoggedDeadLetters
from shared.errors import NotNow, TooManyBadMessages
from shared.health import LIVE_WITHIN_S, Health
from shared.memory import MemoryTopic
from shared.messages import Frame
from shared.metrics import Metrics
from shared.runner import BatchLimits, Runner
from shared.stage import Bad, Done, Dropped, DropReason, Outcome, Stage
from tests.support.made_messages import frame
from tests.support.watched import Watch, WatchedOutput, WatchedSource, WatchedStage

OPENS = ("letters.open", "output.open", "source.open")
STEPS = ("source.poll", "stage.process", "output.write", "letters.write", "source.commit")
CLOSES = ["source.close", "output.close", "letters.close"]
NOISE = ("source.poll", "source.keep_alive")


class Relay:
    """Passes frames on, but for those whose picture says something else."""

    def process(self, batch: Sequence[Frame]) -> Sequence[Outcome[Frame]]:
        outcomes: dict[bytes, Outcome[Frame]] = {b"bad": Bad("too dark"), b"late": Dropped(DropReason.STALE)}
        return [outcomes.get(one.jpeg, Done((one, one) if one.jpeg == b"two" else (one,))) for one in batch]


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "Backoff", functools.partial(Backoff, first_s=0.02, max_s=0.2))


class Bench:
    """A runner between two memory topics, with every part watched."""

    def __init__(
        self,
        batch: BatchLimits | None = None,
        *,
        stage: Stage[Frame, Frame] | None = None,
        limit: DeadLetterLimit | None = None,
        grace_s: float = 10.0,
    ) -> None:
        self.watch, self.stop = Watch(), threading.Event()
        self.topic = MemoryTopic("frames", FRAME_CODEC, capacity=1_000)
        self.feed = self.topic.output()
        self.feed.open()
        self.output = WatchedOutput(MemoryTopic("out", FRAME_CODEC, 1_000).output(), self.watch, "output")
        self.letters = WatchedOutput[DeadLetter](LoggedDeadLetters(), self.watch, "letters")
        self.stage = WatchedStage(stage or Relay(), self.watch)
        self.metrics = Metrics(CollectorRegistry())
        self.now_s = 0.0
        self.health = Health("relay", self.metrics, clock=lambda: self.now_s)
        self.runner = Runner(
            "relay",
            WatchedSource(self.topic.source(), self.watch),
            self.stage,
            self.output,
            self.letters,
            metrics=self.metrics,
            health=self.health,
            batch=batch or BatchLimits(4),
            limit=limit,
            grace_s=grace_s,
            wall_clock=lambda: 1_700_000_002.0,
        )

    def put(self, *numbers: int, jpeg: bytes = b"picture") -> None:
        self.feed.write([frame(sequence=number, jpeg=jpeg) for number in numbers])

    def put_raw(self, encoded: Encoded) -> None:
        with self.topic.changed:
            self.topic.waiting.append((self.topic.next_offset, encoded))
            self.topic.next_offset += 1

    def run(self) -> None:
        """Until everything that was put is handed out, or something stops it."""
        self.feed.close()
        self.runner.run(self.stop)

    @property
    def sent(self) -> list[int]:
        return [message.info.sequence for message in self.output.written]

    @property
    def uncommitted(self) -> list[int]:
        """What the next reader is handed out."""
        return [FRAME_CODEC.decode(encoded).info.sequence for _, encoded in self.topic.waiting]


def test_everything_goes_through_and_the_loop_ends_with_its_source() -> None:
    bench = Bench()
    bench.put(*range(10))
    bench.run()
    assert bench.sent == list(range(10))
    assert bench.uncommitted == []
    assert bench.health.waiting_for == "stopped"


def test_a_batch_is_committed_only_after_all_that_came_of_it_is_written() -> None:
    bench = Bench(BatchLimits(2))
    bench.put(0, 1, 2)
    bench.run()
    batch = ["stage.process", "output.write", "letters.write", "source.commit"]
    assert bench.watch.without(*NOISE) == [*OPENS, *batch, *batch, *CLOSES]


def test_a_crash_between_write_and_commit_makes_the_batch_come_again() -> None:
    bench = Bench(BatchLimits(2))
    bench.put(0, 1, 2, 3, 4)
    bench.watch.on("output.write", lambda: bench.watch.fail("source.commit", [MemoryError()]), nth=2)
    with pytest.raises(MemoryError):
        bench.run()
    assert bench.sent == [0, 1, 2, 3]
    assert bench.uncommitted == [2, 3, 4]


@pytest.mark.parametrize("call", [*OPENS, *STEPS])
def test_not_now_holds_the_batch_and_tries_the_same_step_again(call: str) -> None:
    bench = Bench()
    bench.put(0, 1)
    bench.put(2, jpeg=b"bad")
    waiting_for: list[str | None] = []
    bench.watch.on(call, lambda: waiting_for.append(bench.health.waiting_for))
    bench.watch.fail(call, [NotNow("the store is away"), NotNow("the store is away")])
    bench.run()
    assert waiting_for[1:3] == ["the store is away"] * 2, "not ready while it waits"
    assert bench.sent == [0, 1]
    assert [letter.reason for letter in bench.letters.written] == ["too dark"]
    assert bench.uncommitted == []
    assert bench.metrics.total("agegender_retries_total", service="relay") == 2
    assert "source.keep_alive" in bench.watch.calls
    assert bench.watch.calls.count("output.write") == (3 if call == "output.write" else 1)


def test_the_service_is_ready_again_when_what_it_waited_for_is_back() -> None:
    bench = Bench(BatchLimits(1))
    bench.put(0, 1)
    states: list[str | None] = []
    bench.watch.on("stage.process", lambda: states.append(bench.health.waiting_for))
    bench.watch.fail("output.write", [NotNow("away")])
    bench.run()
    assert states == [None, None]


def test_a_reason_to_wait_is_logged_once_however_often_it_is_tried(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "shared.runner")
    bench = Bench()
    bench.put(0)
    bench.watch.fail("output.write", [NotNow("away"), NotNow("away"), NotNow("full")])
    bench.run()
    events = [record.getMessage() for record in caplog.records]
    assert events == ["ready", "waiting", "waiting", "going on"]


def test_a_service_that_waits_is_alive() -> None:
    bench = Bench()
    states: list[bool] = []

    def half_a_minute_later() -> None:
        bench.now_s += LIVE_WITHIN_S / 2 + 1
        states.append(bench.health.is_live)

    bench.watch.on("source.keep_alive", half_a_minute_later)
    bench.put(0)
    bench.watch.fail("output.write", [NotNow("away")] * 4)
    bench.run()
    assert len(states) >= 4
    assert all(states)


def test_bytes_that_are_no_message_become_a_letter_and_the_rest_of_the_batch_is_done() -> None:
    bench = Bench(BatchLimits(10))
    strange = Encoded(b"k", b"what", (("schema", b"frame/9"),))
    bench.put(0)
    bench.put_raw(strange)
    bench.put(1, jpeg=b"bad")
    bench.put(2)
    bench.run()
    assert bench.sent == [0, 2]
    assert bench.stage.batch_sizes == [3]
    assert bench.letters.written == [
        DeadLetter("schema is 'frame/9', expected 'frame/1'", "relay", "frames/0@1", strange),
        DeadLetter("too dark", "relay", "frames/0@2", FRAME_CODEC.encode(frame(sequence=1, jpeg=b"bad"))),
    ]
    assert bench.uncommitted == []


def test_a_batch_of_nothing_but_strange_bytes_reaches_no_stage() -> None:
    bench = Bench()
    bench.put_raw(Encoded(b"", b"", ()))
    bench.run()
    assert bench.stage.batch_sizes == []
    assert len(bench.letters.written) == 1


def test_a_bad_message_is_logged_with_reason_and_origin(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.put(7, jpeg=b"bad")
    bench.run()
    (record,) = [r for r in caplog.records if r.getMessage() == "bad message"]
    assert vars(record)["reason"] == "too dark"
    assert vars(record)["origin"] == "frames/0@0"


def test_too_many_bad_messages_end_the_run_with_the_last_batch_untouched() -> None:
    bench = Bench(BatchLimits(2), limit=DeadLetterLimit(most=2, among=100))
    bench.put(0, 1, jpeg=b"bad")
    bench.put(2)
    bench.put(3, jpeg=b"bad")
    with pytest.raises(TooManyBadMessages, match="3 of the last 4 messages were bad"):
        bench.run()
    assert bench.sent == []
    assert len(bench.letters.written) == 2
    assert bench.uncommitted == [2, 3]
    assert bench.watch.calls[-3:] == CLOSES


@pytest.mark.parametrize("call", [*OPENS, *STEPS])
def test_anything_else_ends_the_run_loudly_and_closes_every_part(call: str) -> None:
    bench = Bench()
    bench.put(0)
    bench.watch.fail(call, [ZeroDivisionError("a mistake of ours")])
    with pytest.raises(ZeroDivisionError, match="a mistake of ours"):
        bench.run()
    assert bench.watch.calls[-3:] == CLOSES
    assert bench.uncommitted == [0]
    assert bench.health.waiting_for == "stopped"


def test_a_part_that_fails_to_close_keeps_no_other_from_being_closed() -> None:
    bench = Bench()
    bench.watch.fail("source.close", [OSError("gone")])
    with pytest.raises(OSError, match="gone"):
        bench.run()
    assert bench.watch.calls[-3:] == CLOSES


def test_a_stage_that_forgets_a_message_ends_the_run() -> None:
    class Forgetful:
        def process(self, batch: Sequence[Frame]) -> Sequence[Outcome[Frame]]:
            return [Done((one,)) for one in batch[1:]]

    bench = Bench(stage=Forgetful())
    bench.put(0, 1)
    with pytest.raises(RuntimeError, match="1 outcomes for 2 messages"):
        bench.run()
    assert bench.sent == []
    assert bench.uncommitted == [0, 1]


def test_a_stop_finishes_the_batch_in_hand_and_takes_no_other() -> None:
    bench = Bench(BatchLimits(2))
    bench.put(0, 1, 2)
    bench.watch.on("stage.process", bench.stop.set)
    bench.run()
    assert bench.sent == [0, 1]
    assert bench.uncommitted == [2]


def test_a_stop_while_the_output_is_away_still_has_time_to_finish() -> None:
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
    assert "stopped with a batch in hand" in caplog.text


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


def test_the_waiting_time_of_a_batch_counts_from_its_first_message() -> None:
    bench = Bench(BatchLimits(20, max_wait_s=0.2))
    numbers = itertools.count()

    def slowly_one_more() -> None:
        bench.stop.wait(0.05)
        bench.put(next(numbers))

    bench.watch.on("source.poll", slowly_one_more)
    bench.watch.on("stage.process", bench.stop.set)
    bench.runner.run(bench.stop)
    (size,) = bench.stage.batch_sizes
    assert 1 < size < 20


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


def test_the_metrics_account_for_every_message() -> None:
    bench = Bench(BatchLimits(10))
    bench.put(0, 1, 2)
    bench.put(3, jpeg=b"late")
    bench.put(4, 5, jpeg=b"bad")
    bench.put(6, jpeg=b"two")
    bench.put_raw(Encoded(b"", b"", ()))
    bench.run()
    total = bench.metrics.total
    assert total("agegender_messages_received_total", service="relay", camera="cam1") == 7
    assert total("agegender_messages_sent_total", service="relay", camera="cam1") == 3 + 2
    assert total("agegender_messages_dropped_total", camera="cam1", reason="stale") == 1
    assert total("agegender_messages_bad_total", service="relay") == 2 + 1
    assert total("agegender_batch_messages_sum", service="relay") == 8
    assert total("agegender_stage_seconds_count", service="relay") == 1
    assert total("agegender_delay_seconds_count", service="relay") == 5
    assert total("agegender_delay_seconds_sum", service="relay") == pytest.approx(5 * 2.0)


def test_what_was_not_committed_is_not_counted() -> None:
    bench = Bench()
    bench.put(0)
    bench.watch.fail("source.commit", [ZeroDivisionError()])
    with pytest.raises(ZeroDivisionError):
        bench.run()
    assert bench.metrics.total("agegender_messages_sent_total") == 0
