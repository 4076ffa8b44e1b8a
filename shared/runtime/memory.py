"""The transport inside one process: a bounded queue of encoded messages.

Messages are encoded and decoded as on Kafka, so a pipeline in one process runs the same code as one over a
broker.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

from agegender.shared.errors import AgeGenderError, BadMessage, NotNow, SchemaMismatch
from agegender.shared.messages.codec import AnyCodec, Encoded, check_size
from agegender.shared.messages.pipeline import Model
from agegender.shared.runtime.transport import Delivery

M = TypeVar("M", bound=Model)


class TransportBroken(AgeGenderError):
    """The reader of a memory topic failed, so these messages will never be read."""


class MemoryTopic(Generic[M]):
    """Carries messages from any number of outputs to one source, in order.

    Args:
        name: for origins and error messages.
        capacity: the most messages that wait; a writer waits for room.
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
        """A writing end. The topic ends when all opened outputs are closed."""
        return MemoryOutput(self)

    def break_off(self) -> None:
        """Tells writers that the reader is gone for good."""
        with self.changed:
            self.broken = True
            self.changed.notify_all()


class MemorySource(Generic[M]):
    """Hands out the messages in order. Messages without a commit are handed out again after a close."""

    def __init__(self, topic: MemoryTopic[M]) -> None:
        self._topic = topic
        self._is_open = False

    def open(self) -> None:
        """Becomes the one reader; raises NotNow while there is another."""
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
        except SchemaMismatch as error:
            message = BadMessage(str(error))  # no other version will ever read from this process
        return Delivery(message, f"{self._topic.name}/0@{offset}", encoded)

    def commit(self) -> None:
        """Discards the messages that were handed out."""
        with self._topic.changed:
            self._topic.in_hand.clear()

    def keep_alive(self) -> None:
        """Nothing to do: a reader in memory has no rivals."""

    @property
    def exhausted(self) -> bool:
        """True when every output is closed and every message was handed out."""
        with self._topic.changed:
            return self._topic.ended and not self._topic.waiting

    def close(self) -> None:
        """Allows another reader, and puts messages without a commit back."""
        with self._topic.changed:
            if self._is_open:
                self._topic.waiting.extendleft(reversed(self._topic.in_hand))
                self._topic.in_hand.clear()
                self._topic.has_source = self._is_open = False


class MemoryOutput(Generic[M]):
    """Writes a batch to the topic, completely or not at all."""

    def __init__(self, topic: MemoryTopic[M]) -> None:
        self._topic = topic
        self._is_open = False

    def open(self) -> None:
        """Registers this writer: the topic does not end before it is closed."""
        with self._topic.changed:
            self._topic.open_outputs += 1
            self._is_open = True

    def write(self, messages: Sequence[M]) -> None:
        """Waits for room for the whole batch; a batch larger than the capacity waits for an empty topic.

        Raises:
            NotNow: there was no room in time. Nothing was written.
            BadMessage: a message is too large. Nothing was written.
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
        """Ends the topic if this was the last open writer."""
        with self._topic.changed:
            if self._is_open:
                self._is_open = False
                self._topic.open_outputs -= 1
                self._topic.ended = self._topic.open_outputs == 0
                self._topic.changed.notify_all()
