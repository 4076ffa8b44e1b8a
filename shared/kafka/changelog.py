"""Checkpoints of the workers of a group, kept in Kafka for the worker that takes over."""

from __future__ import annotations

import logging
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Generic, TypeVar

from agegender.shared.errors import BadMessage
from agegender.shared.kafka.output import KafkaChangelogOutput
from agegender.shared.kafka.reader import KafkaReader, StoredMessage
from agegender.shared.kafka.topic_admin import ensure_compacted_topic, ensure_partitions
from agegender.shared.kafka.topics import Changelog
from agegender.shared.messages.pipeline import Model
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.transport import Assignment

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Model)

_LAST = 4  # messages of each key: three members may have written too late, one after the other


class KafkaChangelog(Generic[M]):
    """A changelog with the same keys and as many partitions as the topic that its writers read.

    A worker that holds a partition of that topic finds the checkpoints of its keys in the partition of the
    same number here. Each worker writes its checkpoints, and reads only when its assignment changes.
    """

    def __init__(self, changelog: Changelog[M], kafka: KafkaSettings) -> None:
        self.name = kafka.topic_prefix + changelog.name
        self._changelog = changelog
        self._kafka = kafka
        self._partitions = kafka.partitions
        self._output: KafkaChangelogOutput[M] | None = None

    def read(self, assignment: Assignment) -> Sequence[M]:
        """The last messages of each key in the assigned partitions, in the order of their writing.

        The last message alone need not be the best one. A worker that lost a partition without noticing may
        have written once more, after its successor.

        Creates the topic if it does not exist, and adds partitions if it has fewer. A message that cannot be
        read is logged and left out.

        Raises:
            NotNow: no broker answers, reading takes too long, the topic has more partitions, or a worker of
                a later version has written to it.
        """
        if not assignment.held:
            return ()
        started_s = time.monotonic()
        self._partitions = assignment.partitions
        ensure_compacted_topic(self._kafka, self.name, assignment.partitions, self._changelog.retention_s)
        ensure_partitions(self._kafka, self.name, assignment.partitions)
        with KafkaReader(self._kafka) as reader:
            begins, ends = reader.begins(self.name), reader.ends(self.name)
            wanted = {number: ends[number] for number in assignment.held if number in ends}
            records = list(reader.read(self.name, begins, wanted))
        found = list(self._decoded(_last_of_each_key(records)))
        log.info(
            "taken over",
            extra={
                "topic": self.name,
                "partitions": len(assignment.held),
                "messages": len(records),
                "seconds": round(time.monotonic() - started_s, 3),
            },
        )
        return found

    def _decoded(self, records: Iterable[StoredMessage]) -> Iterator[M]:
        for record in records:
            try:
                yield self._changelog.codec.decode(record.encoded)
            except BadMessage as error:
                log.warning("unreadable message", extra={"reason": str(error), "origin": record.origin})

    def write(self, messages: Sequence[M]) -> None:
        """Returns when all messages are stored; see `transport.Output.write`."""
        if not messages:
            return
        if self._output is None:
            self._output = KafkaChangelogOutput(self._changelog, self._kafka, self._partitions)
        self._output.write(messages)

    def close(self) -> None:
        """Closes the connection. Everything that `write` returned for is stored already."""
        if self._output is not None:
            self._output.close()


def _last_of_each_key(records: Iterable[StoredMessage]) -> Iterator[StoredMessage]:
    last: dict[bytes, deque[StoredMessage]] = defaultdict(lambda: deque(maxlen=_LAST))
    for record in records:
        last[record.encoded.key].append(record)
    return chain.from_iterable(last.values())
