"""A compacted topic of Kafka as a dictionary, for processes that need all of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Set
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from agegender.shared.errors import BadMessage, NotNow, SchemaMismatch
from agegender.shared.kafka.client import (
    ANSWER_MS,
    CLOSE_MS,
    answered,
    open_consumer,
    open_producer,
    partitions_of,
)
from agegender.shared.kafka.topic_admin import ensure_compacted_topic
from agegender.shared.kafka.topics import CompactedTopic
from agegender.shared.messages.codec import Encoded, check_size
from agegender.shared.messages.pipeline import Model
from agegender.shared.process.settings import KafkaSettings

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Model)

_READ_S = 10.0


@dataclass(frozen=True, slots=True)
class TableEntry(Generic[M]):
    """The newest message of a key, or the reason why it cannot be read."""

    message: M | BadMessage
    partition: int
    origin: str
    """Where it was read: `topic/partition@offset`."""


class KafkaTable(Generic[M]):
    """Reads a compacted topic and follows its changes. Used by one thread; any may read its attributes.

    Args:
        partitions: of the topic, if it must be created.
    """

    def __init__(self, topic: CompactedTopic[M], kafka: KafkaSettings, partitions: int) -> None:
        self.name = kafka.topic_prefix + topic.name
        self._codec = topic.codec
        self._kafka = kafka
        self._partitions = partitions
        self._consumer: Any = None
        self.entries: Mapping[str, TableEntry[M]] = {}
        """Key → its newest message. Never changed in place, so any thread may read it."""
        self.removed: Set[str] = frozenset()
        """Keys that were deleted and not written again, as far as Kafka remembers. Never changed in place."""

    def open(self) -> None:
        """Reads the topic from its beginning to its end; creates it if it does not exist.

        Raises:
            NotNow: no broker answers, or reading takes too long.
            SettingsError: the topic exists and is not compacted.
        """
        ensure_compacted_topic(self._kafka, self.name, self._partitions)
        self.close()
        self._consumer = open_consumer(self._kafka)
        self.entries, self.removed = {}, frozenset()
        with answered(self._kafka):
            numbers = self._consumer.partitions_for_topic(self.name) or ()
            partitions = partitions_of(self.name, sorted(numbers))
            self._consumer.assign(partitions)
            self._consumer.seek_to_beginning(*partitions)
            self._catch_up(self._consumer.end_offsets(partitions, timeout_ms=ANSWER_MS))

    def _catch_up(self, ends: Mapping[Any, int]) -> None:
        until_s = time.monotonic() + _READ_S
        missing = {partition for partition, end in ends.items() if end > 0}
        while missing:
            self._take(self._consumer.poll(timeout_ms=200))
            missing = {
                one for one in missing if self._consumer.position(one, timeout_ms=ANSWER_MS) < ends[one]
            }
            if missing and time.monotonic() > until_s:
                raise NotNow(f"Kafka: the topic {self.name!r} could not be read within {_READ_S:g} s")

    def refresh(self, timeout_s: float = 0.0) -> bool:
        """Waits up to `timeout_s` for changes; True when some came. Raises NotNow."""
        with answered(self._kafka):
            return self._take(self._consumer.poll(timeout_ms=int(timeout_s * 1000)))

    def _take(self, found: Mapping[Any, Any]) -> bool:
        entries, removed = dict(self.entries), set(self.removed)
        for records in found.values():
            for record in records:
                key = (record.key or b"").decode(errors="replace")
                if not record.value:
                    entries.pop(key, None)
                    removed.add(key)
                    continue
                removed.discard(key)
                entry = self._entry(key, record)
                if isinstance(entry.message, BadMessage):
                    log.warning(
                        "unreadable message", extra={"reason": str(entry.message), "origin": entry.origin}
                    )
                entries[key] = entry
        self.entries, self.removed = entries, frozenset(removed)
        return bool(found)

    def _entry(self, key: str, record: Any) -> TableEntry[M]:  # noqa: ANN401  (kafka-python has no types)
        headers = tuple((name, data or b"") for name, data in record.headers)
        message: M | BadMessage
        try:
            message = self._codec.decode(Encoded(record.key or b"", record.value, headers))
            if self._codec.encode(message).key.decode() != key:
                message = BadMessage(f"the message of key {key!r} belongs to another key")
        except BadMessage as error:
            message = error
        except SchemaMismatch as error:
            # One such message must not hold up all others.
            message = BadMessage(str(error))
        return TableEntry(message, record.partition, f"{record.topic}/{record.partition}@{record.offset}")

    def write(self, changes: Mapping[str, M | None]) -> None:
        """Writes these messages, and deletes keys without one; returns when all is stored.

        Raises:
            NotNow: the outcome is unknown; the same call may be made again.
            BadMessage: a message is larger than any message may be. Nothing was written.
        """
        encoded = {key: None if one is None else self._codec.encode(one) for key, one in changes.items()}
        for one in encoded.values():
            if one is not None:
                check_size(one, self.name)
        producer = open_producer(self._kafka, f"agegender-{self.name}")
        try:
            with answered(self._kafka):
                sent = [
                    producer.send(self.name, key=key.encode())
                    if one is None
                    else producer.send(self.name, key=one.key, value=one.value, headers=list(one.headers))
                    for key, one in encoded.items()
                ]
                producer.flush(timeout=ANSWER_MS / 1000)
                for future in sent:
                    future.get(timeout=0.1)
        finally:
            producer.close(timeout=CLOSE_MS / 1000)

    def close(self) -> None:
        """Closes the connection; `entries` and `removed` stay."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.close(autocommit=False, timeout_ms=CLOSE_MS)
