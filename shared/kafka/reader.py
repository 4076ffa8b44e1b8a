"""Reads topics without a group, so that no committed position changes. For commands and takeovers."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from agegender.shared.errors import NotNow
from agegender.shared.kafka.client import ANSWER_MS, CLOSE_MS, answered, open_consumer, partitions_of
from agegender.shared.messages.codec import Encoded
from agegender.shared.process.settings import KafkaSettings

_SILENT_S = 15.0  # without a message for this long, although the broker has some, reading fails


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message as it is stored in a topic."""

    topic: str
    partition: int
    offset: int
    appended_at_s: float
    """By the broker's clock."""
    encoded: Encoded

    @property
    def origin(self) -> str:
        """Its place as dead letters and logs write it: `topic/partition@offset`."""
        return f"{self.topic}/{self.partition}@{self.offset}"


Offsets = Mapping[int, int]
"""Partition → offset."""


class KafkaReader:
    """Reads topics from given offsets to given ends. Used by one thread, in a `with` block.

    Names of topics include the prefix. Every call raises NotNow while no broker answers. A topic that does
    not exist has no partitions.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._consumer: Any = None

    def __enter__(self) -> Self:
        self._consumer = open_consumer(self._kafka)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._consumer.close(autocommit=False, timeout_ms=CLOSE_MS)

    def begins(self, topic: str) -> Offsets:
        """The offset of the oldest message in each partition."""
        with answered(self._kafka):
            found = self._consumer.beginning_offsets(self._partitions(topic), timeout_ms=ANSWER_MS)
        return {partition.partition: offset for partition, offset in found.items()}

    def ends(self, topic: str) -> Offsets:
        """The offset that the next message of each partition will get."""
        with answered(self._kafka):
            found = self._consumer.end_offsets(self._partitions(topic), timeout_ms=ANSWER_MS)
        return {partition.partition: offset for partition, offset in found.items()}

    def since(self, topic: str, time_s: float) -> Offsets:
        """The offset of the first message in each partition that was appended at that time or later."""
        ends = self.ends(topic)
        wanted = {partition: int(time_s * 1000) for partition in self._partitions(topic)}
        if not wanted:
            return {}
        with answered(self._kafka):
            found = self._consumer.offsets_for_times(wanted, timeout_ms=ANSWER_MS)
        # An empty answer means that there is no such message. One appended since then does not count.
        return {
            partition.partition: ends[partition.partition] if at is None else at.offset
            for partition, at in found.items()
        }

    def read(self, topic: str, begins: Offsets, ends: Offsets) -> Iterator[StoredMessage]:
        """The messages from `begins` up to `ends`, in order per partition, without deleted ones."""
        left = {number: end for number, end in ends.items() if begins.get(number, 0) < end}
        with answered(self._kafka):
            self._consumer.assign(partitions_of(topic, left))
            # The client remembers that a partition was paused, even if it was assigned away meanwhile.
            self._consumer.resume(*partitions_of(topic, left))
            for partition in partitions_of(topic, left):
                self._consumer.seek(partition, begins.get(partition.partition, 0))
        heard_at_s = time.monotonic()
        while left:
            with answered(self._kafka):
                found = self._consumer.poll(timeout_ms=200)
            for partition, records in found.items():
                heard_at_s = time.monotonic()
                for record in records:
                    if record.offset < left.get(partition.partition, 0):
                        yield _stored(record)
            self._drop_finished(topic, left)
            if left and time.monotonic() > heard_at_s + _SILENT_S:
                raise NotNow(f"Kafka: the topic {topic!r} could not be read to its end")

    def at(self, topic: str, partition: int, offset: int) -> StoredMessage | None:
        """The message at that place; None when it was deleted or never existed."""
        if partition not in {one.partition for one in self._partitions(topic)}:
            return None
        found = self.read(
            topic, {partition: offset}, {partition: min(offset + 1, self.ends(topic)[partition])}
        )
        return next((one for one in found if one.offset == offset), None)

    def _partitions(self, topic: str) -> list[Any]:
        with answered(self._kafka):
            return partitions_of(topic, sorted(self._consumer.partitions_for_topic(topic) or ()))

    def _drop_finished(self, topic: str, left: dict[int, int]) -> None:
        with answered(self._kafka):
            for partition in partitions_of(topic, list(left)):
                if self._consumer.position(partition, timeout_ms=ANSWER_MS) >= left[partition.partition]:
                    self._consumer.pause(partition)
                    del left[partition.partition]


def _stored(record: Any) -> StoredMessage:  # noqa: ANN401  (kafka-python has no types)
    headers = tuple((name, data or b"") for name, data in record.headers)
    encoded = Encoded(record.key or b"", record.value or b"", headers)
    return StoredMessage(record.topic, record.partition, record.offset, record.timestamp / 1000, encoded)
