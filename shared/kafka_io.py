"""The transport over Kafka. The only file that knows the client, kafka-python.

An output returns when all brokers that must have a message have it; a source commits by hand, after the
runner has done the work. Between these two a crash can repeat messages and never lose one. Repeats do no
harm: ids of faces are derived from camera, frame and position, and the store refuses an id it has seen.
"""

from __future__ import annotations

import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import (
    CommitFailedError,
    IllegalArgumentError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaConfigurationError,
    KafkaError,
    MessageSizeTooLargeError,
    RebalanceInProgressError,
    TopicAlreadyExistsError,
    UnknownMemberIdError,
)
from kafka.structs import OffsetAndMetadata

from shared.codec import MAX_MESSAGE_BYTES, Encoded, check_size
from shared.dead_letters import DeadLetter
from shared.errors import BadMessage, NotNow, SettingsError
from shared.messages import Model
from shared.secrets import mask
from shared.settings import KafkaSettings
from shared.topics import DEAD_LETTERS_NAME, DEAD_LETTERS_RETENTION_S, Topic
from shared.transport import Delivery

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Model)
T = TypeVar("T")

_RECORD_ROOM_BYTES = 64_000  # what the client and the broker add around a message
_ANSWER_S = 3.0  # how long one call waits for the broker before the runner hears of it
_CLOSE_S = 5.0
_CHECK_AFTER_S = 5.0  # an empty poll says nothing: after so much silence the broker is asked

_MISTAKES = (IllegalArgumentError, IllegalStateError, KafkaConfigurationError)
_GROUP_MOVED_ON = (CommitFailedError, IllegalGenerationError, RebalanceInProgressError, UnknownMemberIdError)


def _away(error: Exception) -> Exception:
    """What to raise instead: NotNow where the broker is away, the error itself where the mistake is ours."""
    return error if isinstance(error, _MISTAKES) else NotNow(mask(f"Kafka: {type(error).__name__}: {error}"))


def _connection(kafka: KafkaSettings) -> dict[str, Any]:
    return {
        "bootstrap_servers": kafka.bootstrap_servers.split(","),
        "bootstrap_timeout_ms": int(_ANSWER_S * 1000),
        # At its default of 30 s, workers were seen to need 20 to 45 s to notice that a broker is back.
        "reconnect_backoff_max_ms": 1_000,
    }


def _probe(kafka: KafkaSettings) -> None:
    """Raises NotNow unless something listens at one of the addresses.

    A client made while no broker answers leaves a thread behind; so none is made until one may.
    """
    for address in kafka.bootstrap_servers.split(","):
        host, _, port = address.strip().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_S).close()
        except OSError:
            continue
        return
    raise NotNow(f"Kafka: nothing answers at {kafka.bootstrap_servers}")


def ensure_topic(kafka: KafkaSettings, name: str, retention_s: int) -> None:
    """Creates the topic when it does not exist; one that does is left as it is.

    Segments are closed long before they may be deleted: Kafka deletes only closed ones, so pictures would
    otherwise stay for days in a topic that is said to keep them for minutes.

    Raises:
        NotNow: no broker answers.
    """
    configs = {
        "retention.ms": str(retention_s * 1000),
        "segment.ms": str(max(60_000, retention_s * 1000 // 4)),
        "max.message.bytes": str(MAX_MESSAGE_BYTES + _RECORD_ROOM_BYTES),
    }
    topic = {
        "num_partitions": kafka.partitions,
        "replication_factor": kafka.replication,
        "configs": configs,
    }
    _probe(kafka)
    try:
        admin = KafkaAdminClient(**_connection(kafka))
        try:
            if name not in admin.list_topics():
                admin.create_topics({name: topic}, wait_for_metadata=True)
                log.info("topic created", extra={"topic": name, "partitions": kafka.partitions})
        finally:
            admin.close()
    except TopicAlreadyExistsError:
        return  # another worker was faster
    except KafkaError as error:
        raise _away(error) from None


def _partition(record: Any) -> TopicPartition:  # noqa: ANN401  (kafka-python has no types)
    return TopicPartition(record.topic, record.partition)


class KafkaSource(Generic[M]):
    """Reads a topic as a member of a consumer group; the members share the partitions.

    Args:
        group: the name of the group without the prefix of the settings.
    """

    def __init__(self, topic: Topic[M], group: str, kafka: KafkaSettings) -> None:
        self._topic = topic
        self._name = kafka.topic_prefix + topic.name
        self._group = kafka.topic_prefix + group
        self._kafka = kafka
        self._consumer: Any = None
        self._done: dict[TopicPartition, int] = {}
        self._buffer: deque[Any] = deque()
        self._heard_at_s = 0.0

    def open(self) -> None:
        """Joins the group; creates the topic where it does not exist."""
        ensure_topic(self._kafka, self._name, self._topic.retention_s)
        consumer = KafkaConsumer(
            group_id=self._group,
            client_id=f"agegender-{self._group}",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=MAX_MESSAGE_BYTES + _RECORD_ROOM_BYTES,
            session_timeout_ms=int(self._kafka.session_timeout_s * 1000),
            heartbeat_interval_ms=int(self._kafka.session_timeout_s * 1000 / 3),
            fetch_max_wait_ms=200,
            allow_auto_create_topics=False,
            **_connection(self._kafka),
        )
        try:
            consumer.subscribe([self._name])
        except KafkaError as error:
            consumer.close(autocommit=False, timeout_ms=0)
            raise _away(error) from None
        self._consumer = consumer
        self._heard_at_s = time.monotonic()

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[Delivery[M]]:
        """See `transport.Source`."""
        if not self._buffer:
            self._buffer.extend(self._fetch(max_messages, timeout_s))
        # Fetched before a rebalance gave them to others. Of a partition that stays ours nothing may go: the
        # client's position is behind it already.
        mine = self._consumer.assignment()
        self._buffer = deque(one for one in self._buffer if _partition(one) in mine)
        taken = [self._buffer.popleft() for _ in range(min(max_messages, len(self._buffer)))]
        for record in taken:
            self._done[_partition(record)] = record.offset + 1
        return [self._deliver(record) for record in taken]

    def _fetch(self, max_messages: int, timeout_s: float) -> list[Any]:
        try:
            by_partition = self._consumer.poll(timeout_ms=int(timeout_s * 1000), max_records=max_messages)
            records = [record for records in by_partition.values() for record in records]
            if records:
                self._heard_at_s = time.monotonic()
            elif time.monotonic() - self._heard_at_s > _CHECK_AFTER_S:
                self._check_broker()
        except KafkaError as error:
            raise _away(error) from None
        return records

    def _check_broker(self) -> None:
        partitions = sorted(self._consumer.assignment())[:1]
        if partitions:
            self._consumer.end_offsets(partitions, timeout_ms=int(_ANSWER_S * 1000))
        else:
            _probe(self._kafka)
        self._heard_at_s = time.monotonic()

    def _deliver(self, record: Any) -> Delivery[M]:  # noqa: ANN401  (kafka-python has no types)
        headers = tuple((name, data or b"") for name, data in record.headers)
        raw = Encoded(record.key or b"", record.value or b"", headers)
        message: M | BadMessage
        try:
            message = self._topic.codec.decode(raw)
        except BadMessage as error:
            message = error
        return Delivery(message, f"{record.topic}/{record.partition}@{record.offset}", raw)

    def commit(self) -> None:
        """Stores the position behind everything handed out, but for partitions that were taken away."""
        mine = self._consumer.assignment()
        offsets = {
            partition: OffsetAndMetadata(offset, "", -1)
            for partition, offset in self._done.items()
            if partition in mine
        }
        if not offsets:
            self._done.clear()
            return
        try:
            self._consumer.commit(offsets, timeout_ms=int(_ANSWER_S * 1000))
        except _GROUP_MOVED_ON:
            # Others have the partitions now, or we get them again from the last commit: a repeat, no loss.
            log.warning("the group moved on before the commit", extra={"group": self._group})
        except KafkaError as error:
            raise _away(error) from None
        self._done.clear()

    def keep_alive(self) -> None:
        """Polls with all partitions paused, so that the group does not take us for dead."""
        if self._consumer is None:
            return
        try:
            self._consumer.pause(*self._consumer.assignment())
            # A partition assigned by this very poll is not paused yet.
            for records in self._consumer.poll(timeout_ms=0).values():
                self._buffer.extend(records)
            self._consumer.resume(*self._consumer.assignment())
        except KafkaError as error:
            log.debug("keep-alive failed", extra={"reason": mask(str(error))})

    @property
    def exhausted(self) -> bool:
        """A topic never ends."""
        return False

    def close(self) -> None:
        """Leaves the group at once, so that others take over without waiting."""
        if self._consumer is not None:
            self._consumer.close(autocommit=False, timeout_ms=int(_CLOSE_S * 1000))
            self._consumer = None
        self._done.clear()
        self._buffer.clear()


class _Sender:
    """Sends encoded messages and waits until the brokers have them, over as many calls as that takes.

    A batch that is still on its way when the time is over is not sent again by the next call: that call waits
    on. Only what has failed is sent anew.
    """

    def __init__(self, name: str, kafka: KafkaSettings) -> None:
        self._name = name
        self._kafka = kafka
        self._producer: Any = None
        self._batch: object = None
        self._unsent: list[Encoded] = []
        self._on_the_way: list[tuple[Encoded, Any]] = []

    def open(self) -> None:
        if self._producer is not None:
            return
        try:
            self._producer = KafkaProducer(
                client_id=f"agegender-{self._name}",
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                batch_size=256 * 1024,
                max_request_size=MAX_MESSAGE_BYTES + _RECORD_ROOM_BYTES,
                max_block_ms=int(_ANSWER_S * 1000),
                allow_auto_create_topics=False,
                **_connection(self._kafka),
            )
        except KafkaError as error:
            raise _away(error) from None

    def send(self, batch: object, encode: Callable[[], list[Encoded]]) -> None:
        """`batch` tells by its identity whether this call is the same again."""
        self.open()
        if batch is not self._batch:
            self._unsent, self._on_the_way = encode(), []
            self._batch = batch
        try:
            while self._unsent:
                one = self._unsent[0]
                future = self._producer.send(
                    self._name, value=one.value, key=one.key, headers=list(one.headers)
                )
                self._on_the_way.append((one, future))
                self._unsent.pop(0)
            self._producer.flush(timeout=_ANSWER_S)
        except KafkaError as error:
            raise self._held_back(error) from None
        failed = self._failed()
        if failed is not None:
            self._drop_producer()
            raise self._held_back(failed)
        self._batch = None
        self._on_the_way = []

    def _failed(self) -> Exception | None:
        """Puts what has failed back among the unsent; returns why."""
        reason: Exception | None = None
        for one, future in self._on_the_way:
            if future.exception is not None:
                reason = future.exception
                self._unsent.append(one)
        self._on_the_way = [(one, future) for one, future in self._on_the_way if not future.is_done]
        return reason

    def _held_back(self, error: Exception) -> Exception:
        if isinstance(error, MessageSizeTooLargeError):
            return SettingsError(
                f"Kafka refuses a message for {self._name!r} that is within our limit: raise the topic's "
                f"max.message.bytes to {MAX_MESSAGE_BYTES + _RECORD_ROOM_BYTES}"
            )
        return _away(error)

    def _drop_producer(self) -> None:
        # After a failed delivery its sequence numbers have a gap, and a fresh one has none.
        self._unsent = [one for one, future in self._on_the_way if not future.is_done] + self._unsent
        self._on_the_way = []
        self.close(timeout_s=0)

    def close(self, timeout_s: float = _CLOSE_S) -> None:
        if self._producer is None:
            return
        producer, self._producer = self._producer, None
        try:
            producer.close(timeout=timeout_s)
        except KafkaError as error:
            # What was not delivered was never reported as written.
            log.debug("producer closed with messages unsent", extra={"reason": mask(str(error))})


class KafkaOutput(Generic[M]):
    """Writes to a topic, which it creates where it does not exist."""

    def __init__(self, topic: Topic[M], kafka: KafkaSettings) -> None:
        self._topic = topic
        self._name = kafka.topic_prefix + topic.name
        self._kafka = kafka
        self._sender = _Sender(self._name, kafka)

    def open(self) -> None:
        """See `transport.Output`."""
        ensure_topic(self._kafka, self._name, self._topic.retention_s)
        self._sender.open()

    def write(self, messages: Sequence[M]) -> None:
        """See `transport.Output`. Raises BadMessage when one is too large; then none was sent."""
        if messages:
            self._sender.send(messages, lambda: self._encode(messages))

    def _encode(self, messages: Sequence[M]) -> list[Encoded]:
        encoded = [self._topic.codec.encode(message) for message in messages]
        for one in encoded:
            check_size(one, self._name)
        return encoded

    def close(self) -> None:
        """See `transport.Output`."""
        self._sender.close()


class KafkaDeadLetters:
    """Writes dead letters: why and where from in headers; the message itself only where settings say so."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._name = kafka.topic_prefix + DEAD_LETTERS_NAME
        self._kafka = kafka
        self._sender = _Sender(self._name, kafka)

    def open(self) -> None:
        """See `transport.Output`."""
        ensure_topic(self._kafka, self._name, DEAD_LETTERS_RETENTION_S)
        self._sender.open()

    def write(self, letters: Sequence[DeadLetter]) -> None:
        """See `transport.Output`."""
        if letters:
            self._sender.send(letters, lambda: [self._encode(letter) for letter in letters])

    def _encode(self, letter: DeadLetter) -> Encoded:
        about = {
            "dead-letter.reason": letter.reason,
            "dead-letter.service": letter.service,
            "dead-letter.origin": letter.origin,
            "dead-letter.value-bytes": str(len(letter.raw.value)),
        }
        headers = tuple((name, text.encode()) for name, text in about.items())
        keeps = self._kafka.dead_letter_pictures
        full = Encoded(letter.raw.key, letter.raw.value if keeps else b"", headers + letter.raw.headers)
        # What somebody else has put around a message is no part of what must be kept.
        return full if full.size_bytes <= MAX_MESSAGE_BYTES else Encoded(letter.raw.key[:100], b"", headers)

    def close(self) -> None:
        """See `transport.Output`."""
        self._sender.close()
