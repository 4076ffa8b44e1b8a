"""What the workers of a group know, kept in Kafka for whoever takes over."""

from __future__ import annotations

import logging
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Generic, TypeVar

from agegender.shared.errors import BadMessage
from agegender.shared.kafka.output import KafkaChangelogOutput
from agegender.shared.kafka.reader import KafkaReader, Record
from agegender.shared.kafka.topic_admin import ensure_partitions, ensure_table
from agegender.shared.kafka.topics import Changelog
from agegender.shared.messages.pipeline import Model
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.transport import Assignment

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Model)

_LAST = 4  # of each key: as many members as may write too late, one after the other, and one more


class KafkaChangelog(Generic[M]):
    """A topic that is divided like the one its writers read: by the same keys, into as many partitions.

    So whoever has a partition of that topic finds in the partition of the same number here all that was known
    about its keys. Each worker writes what it knows and reads only when its share changes.
    """

    def __init__(self, changelog: Changelog[M], kafka: KafkaSettings) -> None:
        self.name = kafka.topic_prefix + changelog.name
        self._changelog = changelog
        self._kafka = kafka
        self._partitions = kafka.partitions
        self._output: KafkaChangelogOutput[M] | None = None

    def read(self, assignment: Assignment) -> Sequence[M]:
        """The last messages of each key in the partitions of that share, in the order of their writing.

        More than one, because the last one need not be the best: whoever lost a partition without noticing it
        may have written once more, after the next one did.

        Creates the topic where it does not exist, and adds partitions where it has fewer. A message that
        cannot be read is logged and left out.

        Raises:
            NotNow: no broker answers, not all of it came in time, the topic is divided otherwise, or a worker
                of a later version has written there.
        """
        if not assignment.held:
            return ()
        started_s = time.monotonic()
        self._partitions = assignment.partitions
        ensure_table(self._kafka, self.name, assignment.partitions, self._changelog.kept_s)
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

    def _decoded(self, records: Iterable[Record]) -> Iterator[M]:
        for record in records:
            try:
                yield self._changelog.codec.decode(record.encoded)
            except BadMessage as error:
                log.warning("bad record", extra={"reason": str(error), "origin": record.origin})

    def write(self, messages: Sequence[M]) -> None:
        """Returns when all messages are safe; see `transport.Output.write`."""
        if not messages:
            return
        if self._output is None:
            self._output = KafkaChangelogOutput(self._changelog, self._kafka, self._partitions)
        self._output.write(messages)

    def close(self) -> None:
        """Lets go. Everything that `write` returned for is safe already."""
        if self._output is not None:
            self._output.close()


def _last_of_each_key(records: Iterable[Record]) -> Iterator[Record]:
    last: dict[bytes, deque[Record]] = defaultdict(lambda: deque(maxlen=_LAST))
    for record in records:
        last[record.encoded.key].append(record)
    return chain.from_iterable(last.values())
