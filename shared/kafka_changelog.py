"""What the workers of a group know, kept in Kafka for whoever takes over."""

from __future__ import annotations

import logging
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, Generic, TypeVar

from shared.codec import Encoded
from shared.errors import BadMessage, NotNow
from shared.kafka_io import (
    KafkaTableOutput,
    answered,
    ensure_partitions,
    ensure_table,
    open_consumer,
    partitions_of,
)
from shared.messages import Model
from shared.settings import KafkaSettings
from shared.topics import Table
from shared.transport import Share

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Model)

_ANSWER_MS = 3_000
_READ_S = 20.0
_CLOSE_MS = 2_000
_LAST = 4  # of each key: as many members as may write too late, one after the other, and one more


class KafkaChangelog(Generic[M]):
    """A table that is divided like the topic its writers read: by the same keys, into as many partitions.

    So whoever has a partition of that topic finds in the partition of the same number here all that was known
    about its keys. Each worker writes what it knows and reads only when its share changes.
    """

    def __init__(self, table: Table[M], kafka: KafkaSettings) -> None:
        self.name = kafka.topic_prefix + table.name
        self._table = table
        self._kafka = kafka
        self._output: KafkaTableOutput[M] | None = None

    def read(self, share: Share) -> Sequence[M]:
        """The last messages of each key in the partitions of that share, in the order of their writing.

        More than one, because the last one need not be the best: whoever lost a partition without noticing it
        may have written once more, after the next one did.

        Creates the topic where it does not exist, and adds partitions where it has fewer. A message that
        cannot be read is logged and left out.

        Raises:
            NotNow: no broker answers, not all of it came in time, or the topic is divided otherwise.
        """
        if not share.held:
            return ()
        ensure_table(self._kafka, self.name, share.partitions, self._table.kept_s)
        ensure_partitions(self._kafka, self.name, share.partitions)
        started_s = time.monotonic()
        consumer = open_consumer(self._kafka)
        try:
            with answered(self._kafka):
                read = list(self._records(consumer, share.held))
        finally:
            consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)
        found = list(self._decoded(_last_of_each_key(read)))
        log.info(
            "taken over",
            extra={
                "topic": self.name,
                "partitions": len(share.held),
                "messages": len(read),
                "seconds": round(time.monotonic() - started_s, 3),
            },
        )
        return found

    def _records(self, consumer: Any, held: Iterable[int]) -> Iterator[Any]:  # noqa: ANN401
        partitions = partitions_of(self.name, sorted(held))
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        ends = consumer.end_offsets(partitions, timeout_ms=_ANSWER_MS)
        until_s = time.monotonic() + _READ_S
        missing = {one for one, end in ends.items() if end > 0}
        while missing:
            for records in consumer.poll(timeout_ms=200).values():
                yield from records
            missing = {one for one in missing if consumer.position(one, timeout_ms=_ANSWER_MS) < ends[one]}
            if missing and time.monotonic() > until_s:
                raise NotNow(f"Kafka: the topic {self.name!r} could not be read within {_READ_S:g} s")

    def _decoded(self, records: Iterable[Any]) -> Iterator[M]:
        for record in records:
            headers = tuple((name, data or b"") for name, data in record.headers)
            try:
                yield self._table.codec.decode(Encoded(record.key or b"", record.value or b"", headers))
            except BadMessage as error:
                origin = f"{record.topic}/{record.partition}@{record.offset}"
                log.warning("bad record", extra={"reason": str(error), "origin": origin})

    def write(self, messages: Sequence[M]) -> None:
        """Returns when all messages are safe; see `transport.Output.write`."""
        if messages:
            # Before anything is written something was read, so the topic is there, divided as it should be.
            self._output = self._output or KafkaTableOutput(self._table, self._kafka, self._kafka.partitions)
            self._output.write(messages)

    def close(self) -> None:
        """Lets go. Everything that `write` returned for is safe already."""
        if self._output is not None:
            self._output.close()


def _last_of_each_key(records: Iterable[Any]) -> Iterator[Any]:
    last: dict[bytes, deque[Any]] = defaultdict(lambda: deque(maxlen=_LAST))
    for record in records:
        last[record.key or b""].append(record)
    return chain.from_iterable(last.values())
