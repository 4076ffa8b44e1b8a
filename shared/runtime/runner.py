"""The loop that every service is: take a batch, process it, write what came of it, commit.

The order is the promise. A batch is committed only after everything that came of it is safe on the other
side, so a crash at any point makes messages come again and never makes them disappear:

    1. poll     up to a number of messages, waiting up to a time for the batch to fill
    2. process  the stage gives one outcome for each message
    3. write    the outputs, until the other side says that they are safe
    4. report   bad messages to the dead letters
    5. commit   the source's position

There are three outcomes for a message and no fourth: done, bad, or not now. `NotNow` holds the batch, keeps
the source alive and tries the same step again. Anything else that is raised ends the process.

The stage works in a thread of its own, so that the source keeps its place however long a batch takes.
"""

from __future__ import annotations

import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
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
from agegender.shared.runtime.loop_time import LoopTime, Step
from agegender.shared.runtime.stage import Bad, Done, Dropped, Outcome, Stage
from agegender.shared.runtime.transport import Delivery, Output, Source

log = logging.getLogger(__name__)

In = TypeVar("In", bound=Traceable)
Out = TypeVar("Out", bound=Traceable)

_POLL_S = 0.5  # how long an empty poll may keep the loop from seeing that it should stop
_KEEP_ALIVE_EVERY_S = 1.0
_HUNG_S = 300.0  # work that takes longer is none, and others may take it over


class StopSignal(Protocol):
    """What tells a runner to stop; a threading.Event is one."""

    def is_set(self) -> bool:
        """Whether to stop."""

    def wait(self, timeout: float | None = None) -> bool:
        """Waits up to `timeout` seconds; True when it is time to stop."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """A batch is processed when it has `max_messages`, or `max_wait_s` after its first message came."""

    max_messages: int = 1
    max_wait_s: float = 0.0


@dataclass
class _Sorted(Generic[Out]):
    """The outcomes of one batch, by kind."""

    outputs: list[Out]
    bad: list[DeadLetter]
    dropped: Counter[tuple[str, str]]
    skipped: Counter[tuple[str, str]]
    received: Counter[tuple[str, str]]


class Runner(Generic[In, Out]):
    """Runs one stage between one source and one output until it is told to stop or the source is exhausted.

    Args:
        service: the name in logs, metrics and health.
        dead_letters: where bad messages are reported.
        grace_s: how long a batch in hand may go on trying after the stop was asked for.
        last_words: gives what is left to send when the source is exhausted.
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
        self._limit = limit or DeadLetterLimit()
        self._grace_s = grace_s
        self._last_words = last_words
        self._wall_clock = wall_clock
        self._stop_seen_s: float | None = None
        self._worker: ThreadPoolExecutor | None = None
        self._time = LoopTime(service, metrics)
        metrics.batch_limit.labels(service).set(batch.max_messages)
        for counter in (metrics.bad, metrics.retries):
            counter.labels(service)  # there from the start, so that the first one is seen as an increase

    def run(self, stop: StopSignal) -> None:
        """Works until `stop` is set or the source is exhausted, then finishes the batch in hand.

        Raises:
            TooManyBadMessages: this worker seems to be broken; nothing more was committed.
            Exception: whatever the stage or a transport raised but `NotNow`.
        """
        self._stop_seen_s = None
        with ExitStack() as at_the_end:
            self._worker = at_the_end.enter_context(ThreadPoolExecutor(1, f"stage {self.service}"))
            # The last one in is the first one out, and each is called whatever the others raise.
            for part in (self._dead_letters, self._output, self._source):
                at_the_end.callback(part.close)
            at_the_end.callback(self._health.not_ready, "stopped")
            at_the_end.callback(self._time.turn_to, None)
            for part in (self._dead_letters, self._output, self._source):
                if not self._until_done(part.open, stop, grace_s=0.0):
                    return
            log.info("ready", extra={"service": self.service})
            while not stop.is_set():
                self._health.beat()
                self._health.ready()
                batch = self._collect(stop)
                if batch and not self._handle(batch, stop):
                    log.warning(
                        "stopped with a batch in hand, which is not committed",
                        extra={"service": self.service, "messages": len(batch)},
                    )
                if not batch:
                    if self._source.exhausted:
                        self._finish(stop)
                        break
                    self._time.turn_to("write")
                    self._until_done(lambda: self._output.write(()), stop, grace_s=0.0)

    def _collect(self, stop: StopSignal) -> list[Delivery[In]]:
        batch: list[Delivery[In]] = []
        deadline_s = time.monotonic() + _POLL_S
        while len(batch) < self._batch.max_messages and not stop.is_set():
            wait_s = deadline_s - time.monotonic()
            if wait_s < 0:
                break
            arrived = self._poll(self._batch.max_messages - len(batch), min(wait_s, _POLL_S), stop)
            if arrived and not batch:
                deadline_s = time.monotonic() + self._batch.max_wait_s
            batch.extend(arrived)
            if not arrived and self._source.exhausted:
                break
        return batch

    def _poll(self, max_messages: int, timeout_s: float, stop: StopSignal) -> Sequence[Delivery[In]]:
        arrived: list[Delivery[In]] = []
        self._time.turn_to("wait")
        self._until_done(
            lambda: arrived.extend(self._source.poll(max_messages, timeout_s)), stop, grace_s=0.0
        )
        return arrived

    def _handle(self, batch: Sequence[Delivery[In]], stop: StopSignal) -> bool:
        """Steps 2 to 5 of the loop; False when the time to stop ran out before they were through."""
        sorted_ = _Sorted[Out]([], [], Counter(), Counter(), Counter())
        started_s = time.perf_counter()
        self._time.turn_to("process")
        if not self._until_done(lambda: self._process(batch, sorted_), stop, self._grace_s):
            return False
        self._metrics.stage_seconds.labels(self.service).observe(time.perf_counter() - started_s)
        self._metrics.batch_size.labels(self.service).observe(len(batch))
        self._limit.check(good=len(batch) - len(sorted_.bad), bad=[letter.reason for letter in sorted_.bad])
        steps: tuple[tuple[Step, Callable[[], None]], ...] = (
            ("write", lambda: self._output.write(sorted_.outputs)),
            ("write", lambda: self._dead_letters.write(sorted_.bad)),
            ("commit", self._source.commit),
        )
        for name, step in steps:
            self._time.turn_to(name)
            if not self._until_done(step, stop, self._grace_s):
                return False
        self._count(sorted_)
        return True

    def _finish(self, stop: StopSignal) -> None:
        outputs = list(self._last_words())
        if outputs and self._until_done(lambda: self._output.write(outputs), stop, self._grace_s):
            self._count(_Sorted(outputs, [], Counter(), Counter(), Counter()))

    def _process(self, batch: Sequence[Delivery[In]], into: _Sorted[Out]) -> None:
        messages = [d.message for d in batch if not isinstance(d.message, BadMessage)]
        found = self._work(messages) if messages else ()
        if len(found) != len(messages):
            raise RuntimeError(f"the stage gave {len(found)} outcomes for {len(messages)} messages")
        outcomes = iter(found)
        for delivery in batch:
            if isinstance(delivery.message, BadMessage):
                into.bad.append(DeadLetter.of(delivery, str(delivery.message), self.service))
                continue
            camera = delivery.message.camera_id
            into.received[camera, _kind(delivery.message)] += 1
            match next(outcomes):
                case Done(outputs, skipped):
                    into.outputs.extend(outputs)
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

    def _count(self, sorted_: _Sorted[Out]) -> None:
        for (camera, kind), number in sorted_.received.items():
            self._metrics.received.labels(self.service, camera, kind).inc(number)
        for (camera, reason), number in sorted_.skipped.items():
            self._metrics.skipped.labels(camera, reason).inc(number)
        for (camera, reason), number in sorted_.dropped.items():
            self._metrics.dropped.labels(self.service, camera, reason).inc(number)
        for letter in sorted_.bad:
            self._metrics.bad.labels(self.service).inc()
            log.warning(
                "bad message",
                extra={"service": self.service, "reason": letter.reason, "origin": letter.origin},
            )
        now_s = self._wall_clock()
        delay = self._metrics.delay.labels(self.service)
        for output in sorted_.outputs:
            self._metrics.sent.labels(self.service, output.camera_id, _kind(output)).inc()
            delay.observe(max(0.0, now_s - output.captured_at_s))

    def _until_done(self, step: Callable[[], None], stop: StopSignal, grace_s: float) -> bool:
        """Does `step`, again and again while it raises NotNow.

        False when that went on for `grace_s` after the stop was asked for.
        """
        backoff = Backoff()
        said: str | None = None
        while True:
            try:
                step()
            except NotNow as error:
                why = str(error)
                self._health.not_ready(why)
                self._metrics.retries.labels(self.service).inc()
                if why != said:
                    log.warning("waiting", extra={"service": self.service, "reason": why})
                    said = why
            else:
                if said is not None:
                    log.info("going on", extra={"service": self.service})
                return True
            if stop.is_set():
                self._stop_seen_s = self._stop_seen_s or time.monotonic()
                if time.monotonic() >= self._stop_seen_s + grace_s:
                    return False
            self._rest(backoff.next_s(), stop)

    def _rest(self, seconds: float, stop: StopSignal) -> None:
        """Waits, but not on when the stop comes meanwhile: then the step has its last tries."""
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


def _kind(message: Traceable) -> str:
    """What the message is, as the metrics call it: `frame`, `face`, `track_update`, `result`."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(message).__name__).lower()
