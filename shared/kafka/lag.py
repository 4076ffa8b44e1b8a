"""Offsets that are not read yet: the lag of a worker, for metrics, and the backlog of groups, for ingest."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from typing import Any

from agegender.shared.errors import NotNow
from agegender.shared.kafka.client import (
    ANSWER_MS,
    ClientError,
    answered,
    connect_admin,
    partition_of,
    partitions_of,
)
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.transport import Backlog

_LATEST, _EARLIEST = -1, -2  # Kafka's numbers for the end and the beginning of a partition
_CHECK_EVERY_S = 5.0
_ENDS_KEPT = 120  # for as long as Kafka keeps frames
_CHECK_AGAIN_S = 60.0  # a failed check takes `ANSWER_MS`, during which the worker does nothing else


class KafkaBacklog:
    """Counts the messages that groups have yet to process. Used by one thread; connects at the first count.

    Args:
        readers: topic → the group that processes its messages, both without the prefix.
    """

    def __init__(self, kafka: KafkaSettings, readers: Mapping[str, str]) -> None:
        self._kafka = kafka
        prefix = kafka.topic_prefix
        self._groups = {group: (prefix + group, prefix + topic) for topic, group in readers.items()}
        self._admin: Any = None

    def count(self) -> Mapping[str, Backlog]:
        """Group → its backlog. Raises NotNow.

        Nothing waits where the topic does not exist yet. A group without commits has all messages before it.
        """
        if self._admin is None:
            self._admin = connect_admin(self._kafka)
        try:
            with answered(self._kafka):
                return self._count(self._admin)
        except NotNow:
            self.close()
            raise

    def _count(self, admin: Any) -> Mapping[str, Backlog]:  # noqa: ANN401  (kafka-python has no types)
        # Commits are read first: a message that is processed meanwhile counts as waiting, never the reverse.
        commits = admin.list_group_offsets({group: None for group, _ in self._groups.values()})
        existing = set(admin.list_topics())
        topics = admin.describe_topics([topic for _, topic in self._groups.values() if topic in existing])
        numbers = {topic["name"]: [one["partition_index"] for one in topic["partitions"]] for topic in topics}
        partitions = [one for topic, some in numbers.items() for one in partitions_of(topic, some)]
        ends = admin.list_partition_offsets(dict.fromkeys(partitions, _LATEST))
        begins = admin.list_partition_offsets(dict.fromkeys(partitions, _EARLIEST))
        found = {}
        for name, (group, topic) in self._groups.items():
            waiting, commit_offsets = 0, []
            for one in partitions_of(topic, numbers.get(topic, ())):
                at = commits[group].get(one)
                if at is not None:
                    commit_offsets.append(at.offset)
                done = begins[one].offset if at is None else max(at.offset, begins[one].offset)
                waiting += max(0, ends[one].offset - done)
            found[name] = Backlog(waiting, sum(commit_offsets) if commit_offsets else None)
        return found

    def close(self) -> None:
        """Closes the connection."""
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.close()


class KafkaLag:
    """Keeps the metric of the lag of each partition that a consumer holds, and remembers when it asked.

    It asks the broker. A worker that waits for another server fetches nothing, and just then messages pile
    up. Used by the thread of the consumer.

    Args:
        service: the label of the metric.
        topic_prefix: removed from the names of topics in the metric.
    """

    def __init__(self, service: str, topic_prefix: str, metrics: Metrics) -> None:
        self._service = service
        self._topic_prefix = topic_prefix
        self._gauge = metrics.lag
        self._shown: set[tuple[str, int]] = set()
        self._due_s = 0.0
        self._ends: dict[Any, deque[tuple[float, int]]] = {}

    def update(self, consumer: Any, buffered: Iterable[Any]) -> None:  # noqa: ANN401
        """Asks the broker, every few seconds at most.

        Args:
            buffered: records that the consumer has returned and the runner has not taken yet.
        """
        now_s = time.monotonic()
        if now_s < self._due_s:
            return
        try:
            ends = _ends(consumer)
            lags = _lags(consumer, buffered, ends)
        except ClientError:
            # The broker may be down or the group rebalancing. The code that reads messages reports that.
            self._due_s = now_s + _CHECK_AGAIN_S
            return
        self._due_s = now_s + _CHECK_EVERY_S
        self._ends = {one: self._ends.get(one, deque(maxlen=_ENDS_KEPT)) for one in ends}
        for one, end in ends.items():
            self._ends[one].append((now_s, end))
        self._show(lags)

    def absent_at_s(self, record: Any) -> float | None:  # noqa: ANN401
        """The last time at which the broker was asked and did not have this record yet.

        Seconds of `time.monotonic`; None when it had the record at each question. Call it in the order of the
        records.
        """
        ends = self._ends.get(partition_of(record))
        if ends is None:
            return None
        while len(ends) > 1 and ends[1][1] <= record.offset:
            ends.popleft()
        asked_at_s, end = ends[0]
        return asked_at_s if end <= record.offset else None

    def clear(self) -> None:
        """Removes the metric: this worker holds no partition any more."""
        self._ends.clear()
        self._show({})

    def _show(self, lags: Mapping[tuple[str, int], int]) -> None:
        for gone in self._shown - lags.keys():
            self._gauge.remove(*self._labels(gone))
        for partition, lag in lags.items():
            self._gauge.labels(*self._labels(partition)).set(lag)
        self._shown = set(lags)

    def _labels(self, partition: tuple[str, int]) -> tuple[str, str, str]:
        topic, number = partition
        return self._service, topic.removeprefix(self._topic_prefix), str(number)


def _ends(consumer: Any) -> Mapping[Any, int]:  # noqa: ANN401
    """Partition of this consumer → the offset that its next record will get."""
    held = consumer.assignment()
    return consumer.end_offsets(held, timeout_ms=ANSWER_MS) if held else {}


def _lags(
    consumer: Any,  # noqa: ANN401
    buffered: Iterable[Any],
    ends: Mapping[Any, int],
) -> Mapping[tuple[str, int], int]:
    waiting = Counter(partition_of(record) for record in buffered)
    positions = {one: consumer.position(one, timeout_ms=ANSWER_MS) for one in ends}
    return {
        (one.topic, one.partition): max(0, ends[one] - position) + waiting[one]
        for one, position in positions.items()
        if position is not None
    }
