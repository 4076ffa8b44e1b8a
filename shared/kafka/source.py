"""The source of a stage over Kafka: reads topics as one member of a consumer group."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any, Generic, TypeVar

from agegender.shared.errors import BadMessage, NotNow, SchemaMismatch
from agegender.shared.kafka.client import (
    ANSWER_MS,
    CLOSE_MS,
    ClientError,
    RebalanceListener,
    commit,
    committed_position,
    open_member,
    partition_of,
    partitions_of,
    translated,
)
from agegender.shared.kafka.deleted import DeletedMessages
from agegender.shared.kafka.lag import KafkaLag
from agegender.shared.kafka.notes import joined_note, own_part
from agegender.shared.kafka.private import Membership
from agegender.shared.kafka.removed_cameras import RemovedCameras
from agegender.shared.kafka.topic_admin import ensure_topic
from agegender.shared.kafka.topics import Topic
from agegender.shared.messages.codec import Encoded
from agegender.shared.messages.pipeline import Model
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.secrets import mask
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.stage import DropReason
from agegender.shared.runtime.transport import Assignment, Delivery

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Model)

_KEEP_ALIVE_MS = 100  # a poll without any time would never take in an assignment
_MOST_POLL_MS = 120_000  # without a poll or a keep-alive for this long, Kafka declares the member dead
_ASK_AFTER_S = 5.0  # an empty poll may hide a silent broker, so it is asked after this much silence


class KafkaSource(Generic[M]):
    """Reads topics as a member of a consumer group, which assigns each partition to one member.

    Args:
        topics: one or several; only one together with `on_assignment`.
        group: the name of the group without the prefix.
        on_assignment: called in `poll` when the partitions of this member have changed. All messages handed
            out are committed by then, and no more are handed out before it returns. If it raises NotNow, it
            is called again.
        metrics: get the lag and the messages deleted unread; the name of the group is the label `service`.
        on_read: called for each message that is handed out, with the last time at which Kafka did not have it
            yet (seconds of `time.monotonic`). Only for messages where that is known, and only with `metrics`.
        removed: follows the removed cameras while the source is open.
        note: what to note with each commit, for the writers of the topic.
    """

    def __init__(
        self,
        topics: Topic[M] | Sequence[Topic[M]],
        group: str,
        kafka: KafkaSettings,
        on_assignment: Callable[[Assignment], None] | None = None,
        metrics: Metrics | None = None,
        on_read: Callable[[M, float], None] | None = None,
        removed: RemovedCameras | None = None,
        note: Callable[[], str] = str,
    ) -> None:
        listed = [topics] if isinstance(topics, Topic) else topics
        self._topics = {kafka.topic_prefix + one.name: one for one in listed}
        self._name = kafka.topic_prefix + listed[0].name
        self._service = group
        self._group = kafka.topic_prefix + group
        self._kafka = kafka
        self._consumer: Any = None
        self._done: dict[Any, int] = {}
        self._buffer: deque[Any] = deque()
        self._heard_at_s = 0.0
        self._on_assignment = on_assignment
        self._on_read = on_read
        self._removed = removed
        self._note = note
        self._held: frozenset[int] = frozenset()
        self._is_assignment_new = False
        self._is_in_hand = False
        self._metrics = metrics
        self._lag = None if metrics is None else KafkaLag(group, kafka.topic_prefix, metrics)
        self._deleted = DeletedMessages(self._count_deleted)

    def open(self) -> None:
        """Joins the group; creates the topics that do not exist."""
        for name, topic in self._topics.items():
            ensure_topic(self._kafka, name, topic.retention_s)
        self._consumer = open_member(self._kafka, self._group, max_poll_interval_ms=_MOST_POLL_MS)
        self._consumer.subscribe(list(self._topics), listener=self._listener())
        self._heard_at_s = time.monotonic()
        if self._removed is not None:
            self._removed.start()

    def _listener(self) -> RebalanceListener:
        """During a rebalance the assignment is unknown, so nothing is done until it ends.

        A partition that stays is read on from its position. A new one is read from the last commit. After
        this member was declared dead, all partitions count as new.
        """
        return RebalanceListener(lost=lambda _lost: self._keep(()), assigned=self._keep)

    def _keep(self, partitions: Collection[Any]) -> None:
        """Discards buffered records of partitions that belong to another member now."""
        held = frozenset(one.partition for one in partitions)
        if held != self._held:
            self._held, self._is_assignment_new = held, True
        self._buffer = deque(record for record in self._buffer if partition_of(record) in partitions)
        self._done = {
            partition: offset for partition, offset in self._done.items() if partition in partitions
        }
        self._deleted.keep(partitions)

    def _count_deleted(self, camera_id: str, number: int) -> None:
        if self._metrics is not None:
            self._metrics.dropped.labels(self._service, camera_id, DropReason.DELETED.value).inc(number)

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[Delivery[M]]:
        """See `transport.Source`."""
        if not self._buffer:
            self._fetch(max_messages, timeout_s)
        self._update_lag()
        if self._is_assignment_new and self._on_assignment is not None:
            if self._is_in_hand:
                return ()
            self._announce(self._on_assignment)
        self._look_up_positions()
        taken = self._take(max_messages)
        self._deleted.settle()
        return taken

    def _look_up_positions(self) -> None:
        """Asks where the group had stopped in new partitions. Before any message of them is handed out."""
        for partition in {partition_of(record) for record in self._buffer}:
            if not self._deleted.knows(partition):
                offset, note = committed_position(self._consumer, partition, self._kafka)
                self._deleted.begin(partition, offset, own_part(note))

    def _take(self, max_messages: int) -> Sequence[Delivery[M]]:
        """The next messages, up to the first one that only a later version can read.

        That one and all behind it are held until this worker is replaced. As a dead letter, the message would
        be lost for the new worker. Messages taken before it are processed first.
        """
        taken: list[Delivery[M]] = []
        while self._buffer and len(taken) < max_messages:
            record = self._buffer[0]
            try:
                delivery = self._deliver(record)
            except SchemaMismatch as error:
                if taken or self._is_in_hand:
                    break
                raise SchemaMismatch(f"{_origin(record)}: {error}") from None
            taken.append(delivery)
            self._note_read(record, delivery)
            self._buffer.popleft()
            partition = partition_of(record)
            self._deleted.read(partition, record.offset, delivery.message)
            self._done[partition] = record.offset + 1
        self._is_in_hand = self._is_in_hand or bool(taken)
        return taken

    def _note_read(self, record: Any, delivery: Delivery[M]) -> None:  # noqa: ANN401
        if self._on_read is None or self._lag is None or isinstance(delivery.message, BadMessage):
            return
        absent_at_s = self._lag.absent_at_s(record)
        if absent_at_s is not None:
            self._on_read(delivery.message, absent_at_s)

    def _announce(self, on_assignment: Callable[[Assignment], None]) -> None:
        while self._is_assignment_new:
            # Reset before the call, because a thread of the client may set it again during the call.
            self._is_assignment_new = False
            try:
                partitions = len(self._consumer.partitions_for_topic(self._name) or ())
                on_assignment(Assignment(self._held, partitions))
            except NotNow:
                self._is_assignment_new = True
                raise

    def _fetch(self, max_messages: int, timeout_s: float) -> None:
        try:
            self._fill_buffer(max_messages, int(timeout_s * 1000))
            if not self._buffer and time.monotonic() < self._heard_at_s + _ASK_AFTER_S:
                return
            if not self._buffer:
                self._consumer.end_offsets(partitions_of(self._name, [0]), timeout_ms=ANSWER_MS)
            self._heard_at_s = time.monotonic()
        except ClientError as error:
            raise translated(error, self._kafka) from None

    def _fill_buffer(self, max_messages: int, timeout_ms: int) -> None:
        membership = Membership(self._consumer)
        until_s = time.monotonic() + ANSWER_MS / 1000
        while True:
            for records in self._consumer.poll(timeout_ms=timeout_ms, max_records=max_messages).values():
                self._buffer.extend(records)
            if not membership.is_rejoining:
                return
            membership.rejoin()
            if time.monotonic() > until_s:
                return
            timeout_ms = _KEEP_ALIVE_MS

    def _deliver(self, record: Any) -> Delivery[M]:  # noqa: ANN401  (kafka-python has no types)
        headers = tuple((name, data or b"") for name, data in record.headers)
        raw = Encoded(record.key or b"", record.value or b"", headers)
        message: M | BadMessage
        try:
            message = self._topics[record.topic].codec.decode(raw)
        except BadMessage as error:
            message = error
        return Delivery(message, _origin(record), raw)

    def commit(self) -> None:
        """Commits everything handed out, except for partitions that this member has lost."""
        if not self._done:
            self._is_in_hand = False
            return
        # It fails during a rebalance. Later polls tell what stays; another member repeats the rest.
        told = self._note()
        positions = {
            one: (offset, joined_note(told, self._deleted.note(one))) for one, offset in self._done.items()
        }
        commit(self._consumer, positions, self._kafka)
        self._deleted.committed(self._done)
        self._done.clear()
        self._is_in_hand = False

    def keep_alive(self) -> None:
        """Polls with all partitions paused, so that the group does not declare this member dead."""
        if self._consumer is None:
            return
        self._consumer.pause(*self._consumer.assignment())
        try:
            # Partitions that are newly assigned are not paused yet, so records may come.
            self._fill_buffer(1, _KEEP_ALIVE_MS)
        except ClientError as error:
            log.debug("keep-alive failed", extra={"reason": mask(str(error))})
        finally:
            self._consumer.resume(*self._consumer.assignment())
        self._update_lag()

    def _update_lag(self) -> None:
        if self._lag is not None:
            self._lag.update(self._consumer, self._buffer)

    @property
    def exhausted(self) -> bool:
        """A topic never ends."""
        return False

    def close(self) -> None:
        """Leaves the group at once, so that others take over without waiting."""
        consumer, self._consumer = self._consumer, None
        self._keep(())
        self._is_in_hand = False
        if self._lag is not None:
            self._lag.clear()
        if self._removed is not None:
            self._removed.close()
        if consumer is not None:
            consumer.close(autocommit=False, timeout_ms=CLOSE_MS)


def _origin(record: Any) -> str:  # noqa: ANN401  (kafka-python has no types)
    return f"{record.topic}/{record.partition}@{record.offset}"
