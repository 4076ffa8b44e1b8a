"""The loop of every service: take a batch, process it, write its results, commit.

The order is the promise. A batch is committed only after all of its results are stored on the other side. So
a crash at any point repeats messages and never loses one:

    1. poll     up to a number of messages, waiting up to a time for the batch to fill
    2. process  the stage gives one outcome for each message
    3. write    the outputs, until the other side confirms them
    4. report   bad messages to the dead letters
    5. commit   the position of the source

A message has one of three outcomes: done, bad, or not now. `NotNow` holds the batch, keeps the source alive
and tries the same step again. Any other exception ends the process.

The stage works in its own thread, so that the source keeps its assignment however long a batch takes.
"""

from __future__ import annotations

import logging
import math
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from agegender.shared.errors import BadMessage, NotNow
from agegender.shared.messages.pipeline import Traceable
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.backoff import Backoff
from agegender.shared.runtime.dead_letters import DeadLetter, DeadLetterLimit
from agegender.shared.runtime.loop_time import LoopStep, LoopTime
from agegender.shared.runtime.stage import Bad, Done, Dropped, Outcome, Stage
from agegender.shared.runtime.transport import Delivery, Output, Source

log = logging.getLogger(__name__)

In = TypeVar("In", bound=Traceable)
Out = TypeVar("Out", bound=Traceable)

STOPPED = "stopped"
"""What the health of a runner waits for when it has ended."""
_POLL_S = 0.5  # an empty poll delays a stop by this much at most
_KEEP_ALIVE_EVERY_S = 1.0
_NEWEST_SHARE = 0.5  # of the last batch, in the average time of a message
_HUNG_S = 300.0  # a stage that works for longer counts as hung, and its assignment is given up


class StopSignal(Protocol):
    """Tells a runner to stop; a threading.Event does."""

    def is_set(self) -> bool:
        """Whether to stop."""

    def wait(self, timeout: float | None = None) -> bool:
        """Waits up to `timeout` seconds; True when the runner is to stop."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """A batch is complete with `max_messages`, or `max_wait_s` after its first message.

    Where messages take long, it is smaller: with as many as are processed in `max_work_s`, by the time that
    the last batches took. So commits follow each other in seconds on a slow machine, too.
    """

    max_messages: int = 1
    max_wait_s: float = 0.0
    max_work_s: float = math.inf
    least_messages: int = 1
    """As many as the stage processes in parallel. No batch is limited to fewer for its time."""

    def most(self, message_s: float) -> int:
        """The largest number of messages of a batch when each takes so long."""
        if message_s * self.max_messages <= self.max_work_s:
            return self.max_messages
        return max(self.least_messages, int(self.max_work_s / message_s))


@dataclass
class _Outcomes(Generic[Out]):
    """The outcomes of one batch, by kind."""

    outputs: list[Out]
    bad: list[DeadLetter]
    dropped: Counter[tuple[str, str]]
    skipped: Counter[tuple[str, str]]
    still: Counter[str]
    received: Counter[tuple[str, str]]


class Runner(Generic[In, Out]):
    """Runs one stage between one source and one output, until the stop signal or the end of the source.

    Args:
        service: the name in logs, metrics and health.
        dead_letters: gets the bad messages.
        grace_s: how long after the stop signal a batch in hand is still retried.
        last_words: returns the messages to send when the source is exhausted.
        counts_sent: False when the output sends later than `write` returns, and calls `count_sent` itself.
    """

    def __init__(
        self,
        service: str,
        source: Source[In],
        stage: Stage[In, Out],
        output: Output[Out],
        dead_letters: Output[DeadLetter],
        *,
        metrics: Metrics,
        health: Health,
        batch: BatchLimits = BatchLimits(),
        limit: DeadLetterLimit | None = None,
        grace_s: float = 10.0,
        last_words: Callable[[], Sequence[Out]] = tuple,
        counts_sent: bool = True,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.service = service
        self._source = source
        self._stage = stage
        self._output = output
        self._dead_letters = dead_letters
        self._metrics = metrics
        self._health = health
        self._batch = batch
        self._message_s = 0.0
        self._limit = limit or DeadLetterLimit()
        self._grace_s = grace_s
        self._last_words = last_words
        self._counts_sent = counts_sent
        self._wall_clock = wall_clock
        self._stop_seen_s: float | None = None
        self._worker: ThreadPoolExecutor | None = None
        self._time = LoopTime(service, metrics)
        metrics.batch_limit.labels(service).set(batch.max_messages)
        for counter in (metrics.bad, metrics.retries):
            counter.labels(service)  # starts at 0, so that Prometheus sees the first one as an increase

    def run(self, stop: StopSignal) -> None:
        """Works until `stop` is set or the source is exhausted, then finishes the batch in hand. Called once.

        Raises:
            TooManyBadMessages: this worker seems to be broken; nothing more was committed.
            Exception: any error of the stage or a transport, except `NotNow`.
        """
        with ExitStack() as at_the_end:
            self._worker = at_the_end.enter_context(ThreadPoolExecutor(1, f"stage {self.service}"))
            # Closed in reverse order, each one even if another raises. The output may still have to send
            # what only the owner of the source may send, so it is closed before the source.
            for part in (self._dead_letters, self._source, self._output):
                at_the_end.callback(part.close)
            at_the_end.callback(self._health.not_ready, STOPPED)
            at_the_end.callback(self._time.turn_to, None)
            for part in (self._dead_letters, self._output, self._source):
                if not self._retry(part.open, stop, grace_s=0.0):
                    return
            log.info("ready", extra={"service": self.service})
            while not stop.is_set():
                self._health.beat()
                self._health.ready()
                batch = self._collect(stop)
                if batch and not self._handle(batch, stop):
                    log.warning(
                        "stopped with a batch that is not committed",
                        extra={"service": self.service, "messages": len(batch)},
                    )
                if not batch:
                    if self._source.exhausted:
                        self._finish(stop)
                        break
                    self._time.turn_to("write")
                    self._retry(lambda: self._output.write(()), stop, grace_s=0.0)

    def _collect(self, stop: StopSignal) -> list[Delivery[In]]:
        batch: list[Delivery[In]] = []
        most = self._batch.most(self._message_s)
        deadline_s = time.monotonic() + _POLL_S
        while len(batch) < most and not stop.is_set():
            wait_s = deadline_s - time.monotonic()
            if wait_s < 0:
                break
            arrived = self._poll(most - len(batch), min(wait_s, _POLL_S), stop)
            if arrived and not batch:
                deadline_s = time.monotonic() + self._batch.max_wait_s
            batch.extend(arrived)
            if not arrived and self._source.exhausted:
                break
        return batch

    def _poll(self, max_messages: int, timeout_s: float, stop: StopSignal) -> Sequence[Delivery[In]]:
        arrived: list[Delivery[In]] = []
        self._time.turn_to("wait")
        self._retry(lambda: arrived.extend(self._source.poll(max_messages, timeout_s)), stop, grace_s=0.0)
        return arrived

    def _handle(self, batch: Sequence[Delivery[In]], stop: StopSignal) -> bool:
        """Steps 2 to 5 of the loop; False when the grace period ended before they were complete."""
        outcomes = _Outcomes[Out]([], [], Counter(), Counter(), Counter(), Counter())
        started_s = time.perf_counter()
        self._time.turn_to("process")
        if not self._retry(lambda: self._process(batch, outcomes), stop, self._grace_s):
            return False
        took_s = time.perf_counter() - started_s
        self._message_s += _NEWEST_SHARE * (took_s / len(batch) - self._message_s)
        self._metrics.stage_seconds.labels(self.service).observe(took_s)
        self._metrics.batch_size.labels(self.service).observe(len(batch))
        self._limit.check(good=len(batch) - len(outcomes.bad), bad=[letter.reason for letter in outcomes.bad])
        steps: tuple[tuple[LoopStep, Callable[[], None]], ...] = (
            ("write", lambda: self._output.write(outcomes.outputs)),
            ("write", lambda: self._dead_letters.write(outcomes.bad)),
            ("commit", self._source.commit),
        )
        for name, step in steps:
            self._time.turn_to(name)
            if not self._retry(step, stop, self._grace_s):
                return False
        self._count(outcomes)
        return True

    def _finish(self, stop: StopSignal) -> None:
        outputs = list(self._last_words())
        if outputs and self._retry(lambda: self._output.write(outputs), stop, self._grace_s):
            self._count(_Outcomes(outputs, [], Counter(), Counter(), Counter(), Counter()))

    def _process(self, batch: Sequence[Delivery[In]], into: _Outcomes[Out]) -> None:
        messages = [d.message for d in batch if not isinstance(d.message, BadMessage)]
        found = self._work(messages) if messages else ()
        if len(found) != len(messages):
            raise RuntimeError(f"the stage gave {len(found)} outcomes for {len(messages)} messages")
        each = iter(found)
        for delivery in batch:
            if isinstance(delivery.message, BadMessage):
                into.bad.append(DeadLetter.of(delivery, str(delivery.message), self.service))
                continue
            camera = delivery.message.camera_id
            into.received[camera, _kind(delivery.message)] += 1
            match next(each):
                case Done(outputs, skipped, is_still):
                    into.outputs.extend(outputs)
                    if is_still is not None:
                        into.still[camera] += is_still
                    into.skipped.update((camera, reason.value) for reason in skipped)
                case Dropped(reason):
                    into.dropped[camera, reason.value] += 1
                case Bad(reason):
                    into.bad.append(DeadLetter.of(delivery, reason, self.service))

    def _work(self, messages: Sequence[In]) -> Sequence[Outcome[Out]]:
        if self._worker is None:
            raise RuntimeError("work before run")
        working = self._worker.submit(self._stage.process, messages)
        hung_at_s = time.monotonic() + _HUNG_S
        while not wait([working], _KEEP_ALIVE_EVERY_S).done:
            if time.monotonic() < hung_at_s:
                self._source.keep_alive()
        return working.result()

    def _count(self, outcomes: _Outcomes[Out]) -> None:
        for (camera, kind), number in outcomes.received.items():
            self._metrics.received.labels(self.service, camera, kind).inc(number)
        for (camera, reason), number in outcomes.skipped.items():
            self._metrics.skipped.labels(camera, reason).inc(number)
        for camera, number in outcomes.still.items():
            self._metrics.still.labels(camera).inc(number)
        for (camera, reason), number in outcomes.dropped.items():
            self._metrics.dropped.labels(self.service, camera, reason).inc(number)
        for letter in outcomes.bad:
            self._metrics.bad.labels(self.service).inc()
            log.warning(
                "bad message",
                extra={"service": self.service, "reason": letter.reason, "origin": letter.origin},
            )
        if self._counts_sent:
            count_sent(self._metrics, self.service, outcomes.outputs, self._wall_clock())

    def _retry(self, step: Callable[[], None], stop: StopSignal, grace_s: float) -> bool:
        """Calls `step` until it no longer raises NotNow.

        False when it still does so `grace_s` after the stop signal.
        """
        backoff = Backoff()
        logged: str | None = None
        while True:
            try:
                step()
            except NotNow as error:
                why = str(error)
                self._health.not_ready(why)
                self._metrics.retries.labels(self.service).inc()
                if why != logged:
                    log.warning("waiting", extra={"service": self.service, "reason": why})
                    logged = why
            else:
                if logged is not None:
                    log.info("continuing", extra={"service": self.service})
                return True
            if stop.is_set():
                self._stop_seen_s = self._stop_seen_s or time.monotonic()
                if time.monotonic() >= self._stop_seen_s + grace_s:
                    return False
            self._pause(backoff.next_s(), stop)

    def _pause(self, seconds: float, stop: StopSignal) -> None:
        """Waits between two tries; a stop signal ends the wait at once."""
        until_s = time.monotonic() + seconds
        stopping = stop.is_set()
        before = self._time.turn_to("hold")
        while (left_s := until_s - time.monotonic()) > 0 and stop.is_set() == stopping:
            self._health.beat()
            self._source.keep_alive()
            if stopping:
                time.sleep(min(left_s, 0.1))
            else:
                stop.wait(min(left_s, _POLL_S))
        self._time.turn_to(before)


def count_sent(metrics: Metrics, service: str, messages: Iterable[Traceable], now_s: float) -> None:
    """Counts messages that are safe on the other side, and their delay since the capture.

    Args:
        now_s: when they were, seconds since 1970.
    """
    delay = metrics.delay.labels(service)
    for message in messages:
        metrics.sent.labels(service, message.camera_id, _kind(message)).inc()
        delay.observe(max(0.0, now_s - message.captured_at_s))


def _kind(message: Traceable) -> str:
    """The type of the message as a label of metrics: `frame`, `face`, `track_update`, `result`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(message).__name__).lower()
