"""The connections to Kafka and their errors: the one module that imports kafka-python's documented parts.

Undocumented parts are used in `private.py` only. All other modules of this room work with the objects that
are opened here and raise the errors of this project.

An output returns when every broker that must have a message has it. A source commits its position by hand,
after the runner has done the work. So a crash repeats messages and never loses one (`docs/crash-safety.md`).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.errors import KafkaError
from kafka.structs import MemberState, OffsetAndMetadata

from agegender.shared.errors import NotNow
from agegender.shared.kafka.login import login_settings, refusals
from agegender.shared.kafka.private import Network
from agegender.shared.kafka.topics import LARGEST_BYTES
from agegender.shared.process.secrets import mask
from agegender.shared.process.settings import KafkaSettings

log = logging.getLogger(__name__)

ANSWER_MS = 3_000
"""How long one step of a call waits for the broker: to connect, or for an answer."""
REQUEST_MS = 10_000
"""How long a request waits for its broker. A machine that has vanished says nothing, and after about 9 s
other brokers lead its partitions. With the client's 30 s, a lease could end before a worker asks them."""
CLOSE_MS = 3_000
"""How long closing a connection may take."""

_MISTAKES: tuple[type[Exception], ...] = (
    kafka_errors.IllegalArgumentError,
    kafka_errors.IllegalStateError,
    kafka_errors.KafkaConfigurationError,
)
_NO_ANSWER = (
    kafka_errors.KafkaConnectionError,
    kafka_errors.KafkaTimeoutError,
    kafka_errors.RequestTimedOutError,
    kafka_errors.SaslAuthenticationFailedError,  # `refusals` says it in plain words
)
_REBALANCE = (
    kafka_errors.CommitFailedError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.RebalanceInProgressError,
    kafka_errors.UnknownMemberIdError,
)

ClientError = KafkaError
"""The base of every error that the client raises."""
TooLarge = kafka_errors.MessageSizeTooLargeError
"""The broker accepts only smaller messages."""
TopicExists = kafka_errors.TopicAlreadyExistsError
"""Another process has created the topic in the meantime."""


def translated(error: Exception, kafka: KafkaSettings) -> Exception:
    """The error to raise instead of one of the client's.

    NotNow where waiting may help; the error itself where our own call was wrong.
    """
    if isinstance(error, _MISTAKES):
        return error
    if isinstance(error, _NO_ANSWER):
        # The client's texts differ from try to try, and the log repeats a reason only when it changes.
        why = refusals.of(kafka) or f"no answer from {kafka.bootstrap_servers}"
        return NotNow(f"Kafka: {why}")
    return NotNow(f"Kafka: {mask(str(error))}")


def _connected(client: Callable[..., Any], kafka: KafkaSettings, **settings: Any) -> Any:  # noqa: ANN401
    """A client of that class; raises NotNow when no broker answers."""
    network = Network(kafka, connect_ms=ANSWER_MS)
    try:
        return client(
            bootstrap_servers=kafka.bootstrap_servers.split(","),
            bootstrap_timeout_ms=ANSWER_MS,
            # With the default of 30 s, workers needed 20 to 45 s to notice that a broker was back.
            reconnect_backoff_max_ms=1_000,
            kafka_client=network,
            **login_settings(kafka),
            **settings,
        )
    except KafkaError as error:
        network.close()
        raise translated(error, kafka) from None


@contextlib.contextmanager
def answered(kafka: KafkaSettings) -> Iterator[None]:
    """Raises NotNow for every error of the client inside the block that waiting may mend."""
    try:
        yield
    except KafkaError as error:
        raise translated(error, kafka) from None


def open_consumer(kafka: KafkaSettings, **settings: Any) -> Any:  # noqa: ANN401
    """A consumer that starts at the first message and commits nothing by itself; raises NotNow."""
    return _connected(
        KafkaConsumer,
        kafka,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=LARGEST_BYTES,
        fetch_max_wait_ms=200,
        request_timeout_ms=REQUEST_MS,
        allow_auto_create_topics=False,
        **settings,
    )


def open_member(kafka: KafkaSettings, group: str, **settings: Any) -> Any:  # noqa: ANN401
    """A consumer that joins a group when it is polled; raises NotNow.

    Args:
        group: the name of the group with the prefix.
    """
    session_ms = int(kafka.session_timeout_s * 1000)
    membership = {
        "group_id": group,
        "client_id": f"agegender-{group}",
        "session_timeout_ms": session_ms,
        "heartbeat_interval_ms": session_ms // 3,
    }
    return open_consumer(kafka, **(membership | settings))


def open_producer(kafka: KafkaSettings, client_id: str) -> Any:  # noqa: ANN401
    """A producer that confirms a message once all in-sync replicas have it; raises NotNow."""
    return _connected(
        KafkaProducer,
        kafka,
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        batch_size=256 * 1024,
        max_request_size=LARGEST_BYTES,
        max_block_ms=ANSWER_MS,
        request_timeout_ms=REQUEST_MS,
        allow_auto_create_topics=False,
    )


def connect_admin(kafka: KafkaSettings) -> Any:  # noqa: ANN401
    """A client that reads and changes topics and groups; the caller closes it. Raises NotNow."""
    return _connected(KafkaAdminClient, kafka, request_timeout_ms=ANSWER_MS)


@contextlib.contextmanager
def open_admin(kafka: KafkaSettings) -> Iterator[Any]:
    """`connect_admin` for the time of the block; raises NotNow, also inside the block."""
    admin = connect_admin(kafka)
    try:
        with answered(kafka):
            yield admin
    finally:
        admin.close()


def settings_of(admin: Any, topic: str, settings: Iterable[str]) -> Mapping[str, str]:  # noqa: ANN401
    """The values of these settings of a topic; empty where the broker does not let us see them."""
    wanted = ConfigResource(ConfigResourceType.TOPIC, topic, dict.fromkeys(settings))
    found = admin.describe_configs([wanted], config_filter="all")["topic"][topic]
    return {name: str(entry["value"]) for name, entry in found.items()}


def committed_offsets(kafka: KafkaSettings, group: str, topic: str) -> Mapping[int, int]:
    """Partition → the offset up to which the group has committed.

    A partition without a commit is left out. Both names are those with the prefix. Raises NotNow.
    """
    with open_admin(kafka) as admin:
        found = admin.list_group_offsets({group: None})[group]
    return {one.partition: at.offset for one, at in found.items() if one.topic == topic and at.offset >= 0}


def partitions_of(topic: str, numbers: Iterable[int]) -> list[TopicPartition]:
    """The partitions of a topic as the client names them."""
    return [TopicPartition(topic, number) for number in numbers]


def partition_of(record: Any) -> TopicPartition:  # noqa: ANN401  (kafka-python has no types)
    """The partition that a record was read from."""
    return TopicPartition(record.topic, record.partition)


def commit(
    consumer: Any,  # noqa: ANN401
    positions: Mapping[TopicPartition, tuple[int, str]],
    kafka: KafkaSettings,
) -> None:
    """Commits these offsets for the group of the consumer, each with a note of the group.

    Raises NotNow, also during a rebalance.
    """
    offsets = {one: OffsetAndMetadata(offset, note, -1) for one, (offset, note) in positions.items()}
    try:
        consumer.commit(offsets, timeout_ms=ANSWER_MS)
    except _REBALANCE:
        raise NotNow("Kafka: the group is rebalancing") from None
    except KafkaError as error:
        raise translated(error, kafka) from None


def committed_position(
    consumer: Any,  # noqa: ANN401
    partition: TopicPartition,
    kafka: KafkaSettings,
) -> tuple[int | None, str]:
    """The offset and the note that the group of the consumer has committed; None without a commit.

    Raises NotNow.
    """
    with answered(kafka):
        found = consumer.committed(partition, metadata=True, timeout_ms=ANSWER_MS)
    return (None, "") if found is None or found.offset < 0 else (found.offset, found.metadata or "")


def joined_as(consumer: Any) -> tuple[int, str] | None:  # noqa: ANN401
    """The generation of the group and the id of this member; None during a rebalance."""
    member = consumer.group_metadata()
    return (member.generation_id, member.member_id) if member.state == MemberState.STABLE else None


def _nothing(_partitions: Collection[TopicPartition]) -> None:
    pass


class RebalanceListener(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Called during polls, by a thread of the client, when the assignment of this member changes.

    Args:
        revoked: these partitions may go to another member once the call returns.
        lost: the group believed this member dead; another may have these partitions already.
        assigned: these partitions are ours; with `Cooperative`, those that are new.
    """

    def __init__(
        self,
        *,
        revoked: Callable[[Collection[TopicPartition]], None] = _nothing,
        lost: Callable[[Collection[TopicPartition]], None] = _nothing,
        assigned: Callable[[Collection[TopicPartition]], None] = _nothing,
    ) -> None:
        self._revoked, self._lost, self._assigned = revoked, lost, assigned

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """See the arguments."""
        self._revoked(revoked)

    def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        """See the arguments."""
        self._lost(lost)

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """See the arguments."""
        self._assigned(assigned)
