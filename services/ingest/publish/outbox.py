"""What is ready to be published, and waits for Kafka to take it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from agegender.services.ingest.publish.backpressure import Backpressure
from agegender.services.ingest.publish.buffer import FrameBuffer
from agegender.services.ingest.reader import SERVICE
from agegender.services.ingest.sources.stream import Captured
from agegender.services.ingest.stage import IngestStage
from agegender.shared.errors import BadMessage, NotNow
from agegender.shared.messages.pipeline import Frame
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.stage import Done, Dropped, DropReason
from agegender.shared.runtime.transport import Delivery, Source

log = logging.getLogger(__name__)

_MOST = 64  # pictures made into frames between two looks at the buffer
_POLL_S = 0.1
_HUNG_S = 15.0  # who neither takes frames nor says that it waits for so long is not worth the cameras


class Cameras(Source[Captured], Protocol):
    """Cameras that go on while nobody publishes what they give."""

    def hold(self, camera_ids: Collection[str]) -> None:
        """Hands out nothing of these cameras until the next call; their readers wait."""

    def is_ours(self, camera_id: str) -> bool:
        """Whether the camera is still one of those that are read here."""


class Outbox:
    """Makes frames of what cameras give, and keeps them until they are taken.

    A thread of its own does that, so that it goes on however long the worker waits for Kafka. Of a live
    camera the newest frames are kept, and those that they push out are dropped as `full`; a complete one is
    read on when there is room again. What was not published by the end is dropped as `stopped`.

    Args:
        cameras: polled by the thread of this outbox alone.
        pace: how many frames of complete cameras may be published.
    """

    def __init__(
        self,
        cameras: Cameras,
        stage: IngestStage,
        buffer: FrameBuffer,
        metrics: Metrics,
        backpressure: Backpressure,
    ) -> None:
        self._cameras = cameras
        self._stage = stage
        self._buffer = buffer
        self._metrics = metrics
        self._backpressure = backpressure
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._turned_at_s = time.monotonic()
        self._in_hand: list[Frame] = []
        self._waits_for: str | None = None
        self._ended = False
        self._error: Exception | None = None

    def open(self) -> None:
        """Opens the cameras; raises NotNow as they do."""
        self._cameras.open()
        self._turned_at_s = time.monotonic()
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._stop.is_set() and not self._ended:
                if time.monotonic() > self._turned_at_s + _HUNG_S:
                    self._stop.wait(_POLL_S)
                    continue
                self._fill()
        except Exception as error:  # noqa: BLE001  (raised again by `poll`)
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _fill(self) -> None:
        self._drop_what_others_have()
        self._hold_what_is_full()
        try:
            found = self._cameras.poll(_MOST, _POLL_S)
        except NotNow as error:
            self._wait_for(str(error))
            self._stop.wait(_POLL_S)
            return
        self._wait_for(None)
        self._keep([one.message for one in found if not isinstance(one.message, BadMessage)])
        self._cameras.commit()
        if not found and self._cameras.exhausted:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _drop_what_others_have(self) -> None:
        """Whoever has a camera now may have sent later frames of it already, also if it comes back to us."""
        with self._changed:
            gone = [camera for camera in self._buffer.numbers if not self._cameras.is_ours(camera)]
            if gone:
                self._count_dropped([one.camera_id for one in self._buffer.clear(gone)], DropReason.STALE)
                self._show_numbers(gone)

    def _hold_what_is_full(self) -> None:
        with self._changed:
            full = self._buffer.full
        self._cameras.hold(full)

    def _wait_for(self, reason: str | None) -> None:
        with self._changed:
            if reason != self._waits_for:
                self._waits_for = reason
                self._changed.notify_all()

    def _keep(self, captured: Sequence[Captured]) -> None:
        for one, outcome in zip(captured, self._stage.process(captured), strict=True):
            match outcome:
                case Dropped(reason):
                    self._count_dropped([one.camera_id], reason)
                case Done(frames):
                    with self._changed:
                        pushed_out = [old for frame in frames for old in self._buffer.put(frame)]
                        self._count_dropped([old.camera_id for old in pushed_out], DropReason.FULL)
                        self._show_numbers([one.camera_id])
                        self._changed.notify_all()
                case _:
                    raise TypeError(f"expected a frame or why it is dropped, got {outcome}")

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[Delivery[Frame]]:
        """See `transport.Source`.

        Raises:
            NotNow: it is not sure that the cameras are ours.
            Exception: what ended the thread.
        """
        self.keep_alive()
        with self._changed:
            knew_of_complete = self._buffer.has_complete
        room = self._backpressure.room() if knew_of_complete else 0
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._error is not None
                    or self._waits_for is not None
                    or self._ended
                    or self._buffer.has_live
                    or (self._buffer.has_complete and (room > 0 or not knew_of_complete))
                ),
                timeout_s,
            )
            if self._error is not None:
                raise self._error
            if self._waits_for is not None:
                raise NotNow(self._waits_for)
            self._drop_what_others_have()
            taken = self._buffer.take(max_messages, room)
            self._in_hand += taken
            self._show_numbers([one.camera_id for one in taken])
        self._backpressure.spend(sum(frame.info.is_complete for frame in taken))
        self._hold_what_is_full()
        return [Delivery(one, one.info.frame_id) for one in taken]

    def _count_dropped(self, camera_ids: Iterable[str], reason: DropReason) -> None:
        for camera_id in camera_ids:
            self._metrics.dropped.labels(SERVICE, camera_id, reason.value).inc()

    def _show_numbers(self, camera_ids: Iterable[str]) -> None:
        numbers = Counter(self._buffer.numbers)
        numbers.update(one.camera_id for one in self._in_hand)
        for camera_id in set(camera_ids):
            self._metrics.buffered.labels(camera_id).set(numbers[camera_id])

    def commit(self) -> None:
        """Forgets what was handed out."""
        with self._changed:
            published = [one.camera_id for one in self._in_hand]
            self._in_hand.clear()
            self._show_numbers(published)

    def keep_alive(self) -> None:
        """Whoever publishes goes on."""
        self._turned_at_s = time.monotonic()

    @property
    def exhausted(self) -> bool:
        """True when every camera is a file, all are read and everything was handed out."""
        with self._changed:
            return self._ended and not self._buffer.numbers

    def close(self) -> None:
        """Lets go of the cameras; what was not published is counted as dropped."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._cameras.close()
        with self._changed:
            left = [one.camera_id for one in (*self._in_hand, *self._buffer.clear())]
            self._in_hand.clear()
            self._count_dropped(left, DropReason.STOPPED)
            self._show_numbers(left)
        if left:
            log.warning("frames given up", extra={"service": SERVICE, "frames": len(left)})
