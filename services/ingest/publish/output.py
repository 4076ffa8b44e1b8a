"""An output that never waits for Kafka: frames wait in a buffer, and a thread of its own sends them."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from agegender.services.ingest.publish.backpressure import NO_ROOM, Backpressure
from agegender.services.ingest.publish.buffer import FrameBuffer
from agegender.services.ingest.reader import SERVICE
from agegender.shared.errors import NotNow
from agegender.shared.messages.pipeline import Frame
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.backoff import Backoff
from agegender.shared.runtime.deadline import Deadline
from agegender.shared.runtime.runner import count_sent
from agegender.shared.runtime.stage import DropReason
from agegender.shared.runtime.transport import Output

log = logging.getLogger(__name__)

MAX_BATCH = 64
"""Frames that are sent together."""
_PART = "publisher"
_POLL_S = 0.1  # how late the thread notices a lost camera or a stop


class OwnedCameras(Protocol):
    """Cameras that another worker may take over, and that can be held back."""

    def hold(self, camera_ids: Collection[str]) -> None:
        """Hands out no frames of these cameras until the next call; their readers wait."""

    def is_ours(self, camera_id: str) -> bool:
        """Whether this worker still reads the camera."""

    @property
    def is_owner(self) -> bool:
        """False while another worker may have taken the cameras over."""


class PaceFeed(Protocol):
    """Learns how fast detect can be fed."""

    def refresh(self) -> None:
        """Asks, now and then. Returns soon, and raises nothing that waiting may mend."""


class BufferedOutput:
    """Accepts frames at once, keeps them in a buffer, and sends them in a thread of its own.

    So cameras are read at their full rate while Kafka is away. If the buffer of a live camera is full, its
    oldest frames are dropped as `full`. A complete camera is held until there is room. A live frame that is
    too old when its turn comes is dropped as `stale`, and so are the frames of a camera that another worker
    has taken over. `close` sends what can still be sent and drops the rest as `stopped`.

    A frame is counted as sent when Kafka has it, so the `Runner` must not count it: `counts_sent=False`.

    Args:
        output: where the frames go. Used by the thread alone once it is open.
        cameras: where the frames come from.
        backpressure: how many frames of complete cameras may be sent.
        deadline: decides which live frames are stale.
        pace: is refreshed in the thread; None: frames are not thinned.
        grace_s: how long `close` goes on trying while Kafka is away.
    """

    def __init__(
        self,
        output: Output[Frame],
        cameras: OwnedCameras,
        buffer: FrameBuffer,
        backpressure: Backpressure,
        deadline: Deadline,
        *,
        metrics: Metrics,
        health: Health,
        pace: PaceFeed | None = None,
        grace_s: float = 10.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._output = output
        self._cameras = cameras
        self._buffer = buffer
        self._backpressure = backpressure
        self._deadline = deadline
        self._metrics = metrics
        self._health = health
        self._pace = pace
        self._grace_s = grace_s
        self._clock = clock
        self._changed = threading.Condition()
        self._in_hand: Sequence[Frame] = ()
        self._closing = threading.Event()
        self._close_by_s = float("inf")
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name=_PART, daemon=True)

    def open(self) -> None:
        """Connects to Kafka and starts the thread. Raises NotNow while Kafka is away."""
        self._output.open()
        self._health.beat(_PART)
        self._thread.start()

    def write(self, messages: Sequence[Frame]) -> None:
        """Puts frames into the buffer and returns at once.

        Raises:
            Exception: the error that ended the thread.
        """
        with self._changed:
            if self._error is not None:
                raise self._error
            for frame in messages:
                pushed_out = self._buffer.put(frame)
                self._count_dropped(pushed_out, DropReason.FULL)
            self._drop_lost()
            self._cameras.hold(self._buffer.full)
            self._show_buffered(messages)
            self._changed.notify_all()

    def _run(self) -> None:
        try:
            while not self._is_over():
                self._health.beat(_PART)
                if self._pace is not None:
                    self._pace.refresh()
                frames = self._take()
                if frames:
                    self._send(frames)
                elif self._closing.is_set():
                    return
        except Exception as error:  # noqa: BLE001  (raised again by `write`)
            self._error = error

    def _is_over(self) -> bool:
        return time.monotonic() >= self._close_by_s

    def _take(self) -> Sequence[Frame]:
        """Takes the next frames out of the buffer and drops those that are stale. Waits 0.1 s at most."""
        self._drop_lost()
        if not self._cameras.is_owner:
            self._closing.wait(_POLL_S)
            return ()
        with self._changed:
            knew_of_complete = self._buffer.has_complete
        # It may ask Kafka, so not under the lock.
        room = self._backpressure.room() if knew_of_complete else NO_ROOM
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._closing.is_set()
                    or self._buffer.has_next(room)
                    or (self._buffer.has_complete and not knew_of_complete)
                ),
                _POLL_S,
            )
            self._drop_lost()
            taken = self._buffer.take(MAX_BATCH, room)
            self._in_hand = self._fresh(taken)
            self._cameras.hold(self._buffer.full)
            self._show_buffered(taken)
        self._backpressure.spend(sum(frame.info.is_complete for frame in taken))
        return self._in_hand

    def _fresh(self, frames: Iterable[Frame]) -> Sequence[Frame]:
        """The frames that are not stale, with the time at which they are published."""
        now_s = self._clock()
        fresh = []
        for frame in frames:
            if self._deadline.admit(frame.info, now_s):
                info = frame.info.model_copy(update={"published_at_s": now_s})
                fresh.append(Frame(info=info, jpeg=frame.jpeg))
            else:
                self._count_dropped([frame], DropReason.STALE)
        return fresh

    def _send(self, frames: Sequence[Frame]) -> None:
        """Tries until Kafka has the frames, or until the grace time of `close` is over."""
        backoff = Backoff()
        logged: str | None = None
        while True:
            try:
                self._output.write(frames)
                break
            except NotNow as error:
                why = str(error)
            self._health.not_ready(why, _PART)
            self._metrics.retries.labels(SERVICE).inc()
            if why != logged:
                log.warning("waiting", extra={"service": SERVICE, "reason": why})
                logged = why
            self._pause(backoff.next_s())
            if self._is_over() or (self._closing.is_set() and not self._cameras.is_owner):
                return
        self._health.ready(_PART)
        if logged is not None:
            log.info("continuing", extra={"service": SERVICE})
        count_sent(self._metrics, SERVICE, frames, self._clock())
        with self._changed:
            self._in_hand = ()
            self._show_buffered(frames)

    def _pause(self, seconds: float) -> None:
        """Waits between two tries; the begin of `close` ends the wait at once."""
        until_s = min(time.monotonic() + seconds, self._close_by_s)
        was_closing = self._closing.is_set()
        while (left_s := until_s - time.monotonic()) > 0 and self._closing.is_set() == was_closing:
            self._health.beat(_PART)
            self._drop_lost()
            with self._changed:
                self._changed.wait_for(lambda: self._closing.is_set() != was_closing, min(left_s, _POLL_S))

    def _drop_lost(self) -> None:
        """Drops the frames of cameras that were taken over: their new worker may have sent later ones.

        The camera may come back to this worker, so this is done often.
        """
        with self._changed:
            lost = [camera for camera in self._buffer.numbers if not self._cameras.is_ours(camera)]
            if lost:
                dropped = self._buffer.clear(lost)
                self._count_dropped(dropped, DropReason.STALE)
                self._show_buffered(dropped)

    def _count_dropped(self, frames: Iterable[Frame], reason: DropReason) -> None:
        for frame in frames:
            self._metrics.dropped.labels(SERVICE, frame.camera_id, reason.value).inc()

    def _show_buffered(self, frames: Iterable[Frame]) -> None:
        """Updates the gauge of the cameras of these frames."""
        numbers = Counter(self._buffer.numbers)
        numbers.update(frame.camera_id for frame in self._in_hand)
        for camera_id in {frame.camera_id for frame in frames}:
            self._metrics.buffered.labels(camera_id).set(numbers[camera_id])

    def close(self) -> None:
        """Sends what can be sent within the grace time, and drops the rest as `stopped`."""
        with self._changed:
            self._close_by_s = time.monotonic() + self._grace_s
            self._closing.set()
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()
        try:
            self._output.close()
        finally:
            self._drop_rest()

    def _drop_rest(self) -> None:
        with self._changed:
            left = [*self._in_hand, *self._buffer.clear()]
            self._in_hand = ()
            self._count_dropped(left, DropReason.STOPPED)
            self._show_buffered(left)
        if left:
            log.warning("frames dropped at the stop", extra={"service": SERVICE, "frames": len(left)})
