"""The loop of every service: no commit before all results are stored, no loss, no double counts."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Sequence

import pytest

from agegender.shared.errors import BadMessage, NotNow, TooManyBadMessages
from agegender.shared.messages.codec import FRAME_CODEC, Encoded
from agegender.shared.messages.pipeline import Frame
from agegender.shared.process.health import HUNG_AFTER_S
from agegender.shared.runtime import runner
from agegender.shared.runtime.backoff import Backoff
from agegender.shared.runtime.dead_letters import DeadLetter, DeadLetterLimit
from agegender.shared.runtime.runner import BatchLimits, count_sent
from agegender.shared.runtime.stage import Done, Outcome
from tests.support.made_messages import frame
from tests.support.runner_bench import CLOSES, NOISE, OPENS, STEPS, Bench


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "Backoff", functools.partial(Backoff, first_s=0.02, max_s=0.2))


def test_every_message_passes_and_the_loop_ends_with_its_source() -> None:
    bench = Bench()
    bench.put(*range(10))
    bench.run()
    assert bench.sent == list(range(10))
    assert bench.uncommitted == []
    assert bench.health.waiting_for == "stopped"


def test_the_last_words_follow_the_last_message_and_are_counted() -> None:
    bench = Bench(last_words=lambda: [frame(sequence=99)])
    bench.put(0, 1)
    bench.run()
    assert bench.sent == [0, 1, 99]
    assert bench.metrics.total("agegender_messages_sent_total") == 3


def test_a_stop_sends_no_last_words() -> None:
    bench = Bench(last_words=lambda: [frame(sequence=99)])
    bench.put(0)
    bench.watch.on("source.commit", bench.stop.set)
    bench.run()
    assert bench.sent == [0]


def test_an_output_is_called_while_nothing_arrives() -> None:
    bench = Bench()
    bench.watch.on("output.write", bench.stop.set)
    bench.runner.run(bench.stop)
    assert bench.watch.without(*NOISE) == [*OPENS, "output.write", *CLOSES]
    assert bench.sent == []


def test_a_batch_is_committed_after_all_its_results() -> None:
    bench = Bench(BatchLimits(2))
    bench.put(0, 1, 2)
    bench.run()
    batch = ["stage.process", "output.write", "letters.write", "source.commit"]
    assert bench.watch.without(*NOISE) == [*OPENS, *batch, *batch, *CLOSES]


def test_what_an_output_counts_by_itself_is_not_counted_twice() -> None:
    bench = Bench(counts_sent=False)
    bench.put(0, 1)
    bench.run()
    assert bench.sent == [0, 1]
    assert bench.metrics.total("agegender_messages_received_total") == 2
    assert bench.metrics.total("agegender_messages_sent_total") == 0
    count_sent(bench.metrics, "relay", bench.output.written, 1_700_000_002.0)
    assert bench.metrics.total("agegender_messages_sent_total", service="relay", kind="frame") == 2


def test_a_crash_between_write_and_commit_repeats_the_batch() -> None:
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


@pytest.mark.parametrize(
    ("call", "step"), [*zip(STEPS, ("wait", "process", "write", "write", "commit"), strict=True)]
)
def test_the_time_that_a_call_takes_is_counted_under_its_step(call: str, step: str) -> None:
    bench = Bench()
    bench.put(0)
    bench.watch.on(call, lambda: time.sleep(0.2), nth=1)  # as long as a call that does so much
    bench.run()
    spent = bench.metrics.by_label("agegender_loop_seconds_total", "step", service="relay")
    assert spent[step] >= 0.2
    assert spent[step] == max(spent.values())


def test_the_time_until_the_next_try_is_counted_apart() -> None:
    bench = Bench()
    bench.put(0)
    bench.watch.fail("output.write", [NotNow("away")] * 4)
    started_s = time.perf_counter()
    bench.run()
    spent = bench.metrics.by_label("agegender_loop_seconds_total", "step")
    assert spent["hold"] > spent["write"]
    assert sum(spent.values()) <= time.perf_counter() - started_s


def test_counters_of_trouble_begin_at_none() -> None:
    bench = Bench()
    for name in ("agegender_messages_bad_total", "agegender_retries_total"):
        assert bench.metrics.by_label(name, "service") == {"relay": 0}
    assert bench.metrics.total("agegender_batch_limit_messages", service="relay") == 4


def test_the_service_is_ready_again_after_an_outage() -> None:
    bench = Bench(BatchLimits(1))
    bench.put(0, 1)
    states: list[str | None] = []
    bench.watch.on("stage.process", lambda: states.append(bench.health.waiting_for))
    bench.watch.fail("output.write", [NotNow("away")])
    bench.run()
    assert states == [None, None]


def test_a_reason_to_wait_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "agegender.shared.runtime.runner")
    bench = Bench()
    bench.put(0)
    bench.watch.fail("output.write", [NotNow("away"), NotNow("away"), NotNow("full")])
    bench.run()
    events = [record.getMessage() for record in caplog.records]
    assert events == ["ready", "waiting", "waiting", "continuing"]


def test_a_service_that_waits_is_alive() -> None:
    bench = Bench()
    states: list[bool] = []

    def half_a_minute_later() -> None:
        bench.now_s += HUNG_AFTER_S / 2 + 1
        states.append(bench.health.is_live)

    bench.watch.on("source.keep_alive", half_a_minute_later)
    bench.put(0)
    bench.watch.fail("output.write", [NotNow("away")] * 4)
    bench.run()
    assert len(states) >= 4
    assert all(states)


def test_invalid_bytes_become_a_letter_and_the_rest_is_processed() -> None:
    bench = Bench(BatchLimits(10))
    strange = Encoded(b"k", b"what", (("schema", b"picture/1"),))
    bench.put(0)
    bench.put_raw(strange)
    bench.put(1, jpeg=b"bad")
    bench.put(2)
    bench.run()
    assert bench.sent == [0, 2]
    assert bench.stage.batch_sizes == [3]
    assert bench.letters.written == [
        DeadLetter("schema is 'picture/1', expected 'frame/1'", "relay", "frames/0@1", strange),
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


def test_too_many_bad_messages_end_the_run_without_a_commit() -> None:
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


def test_an_output_that_refuses_a_message_for_good_ends_the_run() -> None:
    bench = Bench()
    bench.put(0)
    bench.watch.fail("output.write", [BadMessage("too large")])
    with pytest.raises(BadMessage, match="too large"):
        bench.run()
    assert bench.uncommitted == [0]


def test_all_parts_are_closed_even_if_one_fails() -> None:
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


def test_the_metrics_account_for_every_message() -> None:
    bench = Bench(BatchLimits(10))
    bench.put(0, 1, 2)
    bench.put(3, jpeg=b"late")
    bench.put(4, 5, jpeg=b"bad")
    bench.put(6, jpeg=b"two")
    bench.put(7, jpeg=b"still")
    bench.put_raw(Encoded(b"", b"", ()))
    bench.run()
    total = bench.metrics.total
    assert total("agegender_messages_received_total", service="relay", camera="cam1") == 8
    assert total("agegender_frames_still_total", camera="cam1") == 1
    assert total("agegender_faces_skipped_total", camera="cam1", reason="still") == 2
    assert total("agegender_messages_sent_total", service="relay", camera="cam1") == 3 + 2
    assert total("agegender_messages_dropped_total", camera="cam1", reason="stale") == 1
    assert total("agegender_messages_bad_total", service="relay") == 2 + 1
    assert total("agegender_batch_messages_sum", service="relay") == 9
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


class Slow:
    """Works until the test sets `enough`."""

    def __init__(self) -> None:
        self.enough = threading.Event()
        self.threads: set[int] = set()

    def process(self, batch: Sequence[Frame]) -> Sequence[Outcome[Frame]]:
        self.threads.add(threading.get_ident())
        assert self.enough.wait(10)
        return [Done((one,)) for one in batch]


def test_slow_work_keeps_the_assignment_but_not_liveness(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "_KEEP_ALIVE_EVERY_S", 0.02)
    stage = Slow()
    bench = Bench(stage=stage)
    bench.put(0)
    alive: list[bool] = []

    def later() -> None:
        alive.append(bench.health.is_live)
        bench.now_s += HUNG_AFTER_S / 2 + 1

    bench.watch.on("source.keep_alive", later)
    bench.watch.on("source.keep_alive", stage.enough.set, nth=4)
    bench.run()
    assert alive[:3] == [True, True, False], "a hung service is to be restarted"
    assert bench.sent == [0]
    assert bench.uncommitted == []


def test_a_stage_that_hangs_loses_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "_KEEP_ALIVE_EVERY_S", 0.02)
    monkeypatch.setattr(runner, "_HUNG_S", 0.2)
    stage = Slow()
    bench = Bench(stage=stage)
    bench.put(0)
    timer = threading.Timer(1.0, stage.enough.set)
    timer.start()
    bench.run()
    assert 0 < bench.watch.calls.count("source.keep_alive") <= 10


def test_all_work_is_done_by_one_thread() -> None:
    stage = Slow()
    stage.enough.set()
    bench = Bench(BatchLimits(1), stage=stage)
    bench.put(*range(20))
    bench.run()
    assert len(stage.threads) == 1
