"""The transport inside one process: a bounded queue of encoded messages.

Messages are encoded and decoded as on Kafka, so that a pipeline in one process and one over a broker run the
very same code and differ in nothing but the distance.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

from agegender.shared.errors import AgeGenderError, BadMessage, NewerSchema, NotNow
from agegender.shared.messages.codec import AnyCodec, Encoded, check_size
from agegender.shared.messages.pipeline import Model
from agegender.shared.runtime.transport import Delivery

M = TypeVar("M", bound=Model)


class TransportBroken(AgeGenderError):
    """The other end of a memory topic failed, so nothing will ever take these messages."""


class MemoryTopic(Generic[M]):
    """Carries messages from any number of outputs to one source, in order.

    Args:
        name: for origins and error messages.
        capacity: most messages waiting; a writer waits for room.
        patience_s: how long a writer waits for room before it raises NotNow.
    """

    def __init__(self, name: str, codec: AnyCodec[M], capacity: int = 64, patience_s: float = 1.0) -> None:
        self.name = name
        self.codec = codec
        self.capacity = capacity
        self.patience_s = patience_s
        self.changed = threading.Condition()
        self.waiting: deque[tuple[int, Encoded]] = deque()
        self.in_hand: list[tuple[int, Encoded]] = []
        self.next_offset = 0
        self.open_outputs = 0
        self.ended = False
        self.broken = False
        self.has_source = False

    def source(self) -> MemorySource[M]:
        """The reading end."""
        return MemorySource(self)

    def output(self) -> MemoryOutput[M]:
        """A writing end. The topic ends when all that were opened are closed."""
        return MemoryOutput(self)

    def break_off(self) -> None:
        """Tells writers that nobody will read any more."""
        with self.changed:
            self.broken = True
            self.changed.notify_all()


class MemorySource(Generic[M]):
    """Hands out what the outputs wrote. What was handed out and not committed comes again after a close."""

    def __init__(self, topic: MemoryTopic[M]) -> None:
        self._topic = topic
        self._is_open = False

    def open(self) -> None:
        """Takes the one place of a reader; raises NotNow while another holds it."""
        with self._topic.changed:
            if self._topic.has_source:
                raise NotNow(f"memory topic {self._topic.name!r} has a reader already")
            self._topic.has_source = self._is_open = True

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[Delivery[M]]:
        """See `transport.Source`."""
        topic = self._topic
        with topic.changed:
            topic.changed.wait_for(lambda: bool(topic.waiting) or topic.ended, timeout_s)
            taken = [topic.waiting.popleft() for _ in range(min(max_messages, len(topic.waiting)))]
            topic.in_hand.extend(taken)
            topic.changed.notify_all()
        return [self._deliver(offset, encoded) for offset, encoded in taken]

    def _deliver(self, offset: int, encoded: Encoded) -> Delivery[M]:
        message: M | BadMessage
        try:
            message = self._topic.codec.decode(encoded)
        except BadMessage as error:
            message = error
        except NewerSchema as error:
            message = BadMessage(str(error))  # no other version ever reads from this process
        return Delivery(message, f"{self._topic.name}/0@{offset}", encoded)

    def commit(self) -> None:
        """Forgets what was handed out."""
        with self._topic.changed:
            self._topic.in_hand.clear()

    def keep_alive(self) -> None:
        """Nobody takes the place of a reader in memory."""

    @property
    def exhausted(self) -> bool:
        """True when every output is closed and everything was handed out."""
        with self._topic.changed:
            return self._topic.ended and not self._topic.waiting

    def close(self) -> None:
        """Frees the reader's place and puts back what was not committed."""
        with self._topic.changed:
            if self._is_open:
                self._topic.waiting.extendleft(reversed(self._topic.in_hand))
                self._topic.in_hand.clear()
                self._topic.has_source = self._is_open = False


class MemoryOutput(Generic[M]):
    """Writes to the topic, all of a batch or none of it."""

    def __init__(self, topic: MemoryTopic[M]) -> None:
        self._topic = topic
        self._is_open = False

    def open(self) -> None:
        """Counts this writer, so that the topic does not end before it is closed."""
        with self._topic.changed:
            self._topic.open_outputs += 1
            self._is_open = True

    def write(self, messages: Sequence[M]) -> None:
        """Waits for room for the whole batch; a batch larger than the capacity waits for an empty topic.

        Raises:
            NotNow: there was no room in time. Nothing was written.
            BadMessage: a message is larger than any message may be. Nothing was written.
            TransportBroken: the reader is gone for good.
        """
        topic = self._topic
        encoded = [topic.codec.encode(message) for message in messages]
        for one in encoded:
            check_size(one, topic.name)
        room_at = max(0, topic.capacity - len(encoded))
        deadline_s = time.monotonic() + topic.patience_s
        with topic.changed:
            topic.changed.wait_for(
                lambda: topic.broken or len(topic.waiting) <= room_at, deadline_s - time.monotonic()
            )
            if topic.broken:
                raise TransportBroken(f"the reader of memory topic {topic.name!r} failed")
            if len(topic.waiting) > room_at:
                raise NotNow(f"memory topic {topic.name!r} is full: its reader is behind")
            for one in encoded:
                topic.waiting.append((topic.next_offset, one))
                topic.next_offset += 1
            topic.changed.notify_all()

    def close(self) -> None:
        """The topic ends when this was the last open writer."""
        with self._topic.changed:
            if self._is_open:
                self._is_open = False
                self._topic.open_outputs -= 1
                self._topic.ended = self._topic.open_outputs == 0
                self._topic.changed.notify_all()
