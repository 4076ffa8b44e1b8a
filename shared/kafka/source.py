"""Reads topics of Kafka, as one of a group."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any, Generic, TypeVar

from agegender.shared.errors import BadMessage, NewerSchema, NotNow
from agegender.shared.kafka.client import (
    ANSWER_MS,
    CLOSE_MS,
    ClientError,
    Rebalance,
    commit,
    held_back,
    open_member,
    partition_of,
    partitions_of,
)
from agegender.shared.kafka.lag import KafkaLag
from agegender.shared.kafka.topic_admin import ensure_topic
from agegender.shared.kafka.topics import Topic
from agegender.shared.messages.codec import Encoded
from agegender.shared.messages.pipeline import Model
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.secrets import mask
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.transport import Assignment, Delivery

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Model)

_KEEP_ALIVE_MS = 100  # without any time, a poll would never take partitions in
_MOST_POLL_MS = 120_000  # who neither polls nor keeps alive for so long is taken for dead
_ASK_AFTER_S = 5.0  # an empty poll says nothing: after so much silence the broker is asked


class KafkaSource(Generic[M]):
    """Reads topics as a member of a consumer group; the members share the partitions.

    Args:
        topics: one, or several; where `on_share` is given, one.
        group: the name of the group without the prefix of the settings.
        on_share: called in `poll` when what this member holds has changed: after all that was handed out is
            committed, and before anything more is. It may raise NotNow, and is then called again.
        metrics: are told how many messages wait, under the name of the group as the service.
    """

    def __init__(
        self,
        topics: Topic[M] | Sequence[Topic[M]],
        group: str,
        kafka: KafkaSettings,
        on_share: Callable[[Assignment], None] | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        listed = [topics] if isinstance(topics, Topic) else topics
        self._topics = {kafka.topic_prefix + one.name: one for one in listed}
        self._name = kafka.topic_prefix + listed[0].name
        self._group = kafka.topic_prefix + group
        self._kafka = kafka
        self._consumer: Any = None
        self._done: dict[Any, int] = {}
        self._buffer: deque[Any] = deque()
        self._heard_at_s = 0.0
        self._on_share = on_share
        self._held: frozenset[int] = frozenset()
        self._is_share_new = False
        self._is_in_hand = False
        self._lag = None if metrics is None else KafkaLag(group, kafka.topic_prefix, metrics)

    def open(self) -> None:
        """Joins the group; creates the topics that do not exist."""
        for name, topic in self._topics.items():
            ensure_topic(self._kafka, name, topic.retention_s)
        self._consumer = open_member(self._kafka, self._group, max_poll_interval_ms=_MOST_POLL_MS)
        self._consumer.subscribe(list(self._topics), listener=self._listener())
        self._heard_at_s = time.monotonic()

    def _listener(self) -> Rebalance:
        """While sharing out goes on, what stays ours is not known: then nothing is done.

        What was ours and still is goes on at its position; what is new, and all after we were taken for dead,
        starts from the last commit.
        """
        return Rebalance(lost=lambda _lost: self._keep(()), assigned=self._keep)

    def _keep(self, partitions: Collection[Any]) -> None:
        """Forgets what was read from partitions that are not ours any more."""
        held = frozenset(one.partition for one in partitions)
        if held != self._held:
            self._held, self._is_share_new = held, True
        self._buffer = deque(record for record in self._buffer if partition_of(record) in partitions)
        self._done = {
            partition: offset for partition, offset in self._done.items() if partition in partitions
        }

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[Delivery[M]]:
        """See `transport.Source`."""
        if not self._buffer:
            self._fetch(max_messages, timeout_s)
        self._look_at_lag()
        if self._is_share_new and self._on_share is not None:
            if self._is_in_hand:
                return ()
            self._tell_share(self._on_share)
        return self._take(max_messages)

    def _take(self, max_messages: int) -> Sequence[Delivery[M]]:
        """The next messages, up to the first one that only a later version can read.

        That one is held, and all behind it, until this worker is replaced: as a dead letter it would be lost
        to the worker that can read it. What was taken before is done first.
        """
        taken: list[Delivery[M]] = []
        while self._buffer and len(taken) < max_messages:
            record = self._buffer[0]
            try:
                taken.append(self._deliver(record))
            except NewerSchema as error:
                if taken or self._is_in_hand:
                    break
                raise NewerSchema(f"{_origin(record)}: {error}") from None
            self._buffer.popleft()
            self._done[partition_of(record)] = record.offset + 1
        self._is_in_hand = self._is_in_hand or bool(taken)
        return taken

    def _tell_share(self, on_share: Callable[[Assignment], None]) -> None:
        while self._is_share_new:
            # First, because a thread of the client may change it again meanwhile.
            self._is_share_new = False
            try:
                partitions = len(self._consumer.partitions_for_topic(self._name) or ())
                on_share(Assignment(self._held, partitions))
            except NotNow:
                self._is_share_new = True
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
            raise held_back(error, self._kafka) from None

    def _fill_buffer(self, max_messages: int, timeout_ms: int) -> None:
        coordinator = self._consumer._coordinator
        until_s = time.monotonic() + ANSWER_MS / 1000
        while True:
            for records in self._consumer.poll(timeout_ms=timeout_ms, max_records=max_messages).values():
                self._buffer.extend(records)
            if not coordinator.rejoining:
                return
            # The client takes its share of the partitions in only while it polls: one that came between two
            # polls is thrown away, and the group shares out anew. Where new partitions are the cause it even
            # forgets that it has asked for a share, and would stay without any, and without heartbeats.
            coordinator.request_rejoin()
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
        """Stores the position behind everything handed out, but for partitions that were taken away."""
        if not self._done:
            self._is_in_hand = False
            return
        # What is shared out anew: the next polls tell what stays ours; what does not, another member repeats.
        commit(self._consumer, self._done, self._kafka)
        self._done.clear()
        self._is_in_hand = False

    def keep_alive(self) -> None:
        """Polls with all partitions paused, so that the group does not take us for dead."""
        if self._consumer is None:
            return
        self._consumer.pause(*self._consumer.assignment())
        try:
            # Partitions that it brings are not paused yet, and something may come of them.
            self._fill_buffer(1, _KEEP_ALIVE_MS)
        except ClientError as error:
            log.debug("keep-alive failed", extra={"reason": mask(str(error))})
        finally:
            self._consumer.resume(*self._consumer.assignment())
        self._look_at_lag()

    def _look_at_lag(self) -> None:
        if self._lag is not None:
            self._lag.look(self._consumer, self._buffer)

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
            self._lag.forget()
        if consumer is not None:
            consumer.close(autocommit=False, timeout_ms=CLOSE_MS)


def _origin(record: Any) -> str:  # noqa: ANN401  (kafka-python has no types)
    return f"{record.topic}/{record.partition}@{record.offset}"
