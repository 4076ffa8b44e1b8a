"""Kafka: its connections and errors. The only file that imports the client, kafka-python.

On it build `kafka_topics`, which makes topics, `kafka_source` and `kafka_output`, which carry messages,
`kafka_table`, a topic as a dictionary, `kafka_changelog`, what workers know, and `kafka_group`, which shares
out work.

An output returns when all brokers that must have a message have it; a source commits by hand, after the
runner has done the work. Between these two a crash can repeat messages and never lose one. Repeats do no
harm: ids of faces are derived from camera, frame and position, and the store refuses an id it has seen.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Set
from typing import Any

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.coordinator.assignors.abstract import AbstractPartitionAssignor, RebalanceProtocol
from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from kafka.structs import OffsetAndMetadata

from agegender.shared.errors import NotNow
from agegender.shared.kafka.login import login_settings, refusals
from agegender.shared.kafka.topic_config import LARGEST_BYTES
from agegender.shared.process.secrets import mask
from agegender.shared.process.settings import KafkaSettings

log = logging.getLogger(__name__)

ANSWER_MS = 3_000
"""How long one call waits for the broker before the runner hears of it."""
CLOSE_MS = 3_000
"""How long it may take to let go."""

_MISTAKES: tuple[type[Exception], ...] = (
    kafka_errors.IllegalArgumentError,
    kafka_errors.IllegalStateError,
    kafka_errors.KafkaConfigurationError,
)
_NO_ANSWER = (kafka_errors.KafkaConnectionError, kafka_errors.KafkaTimeoutError)
_REFUSED_LOGINS = (
    kafka_errors.IllegalSaslStateError,
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
)
_SHARED_OUT_ANEW = (
    kafka_errors.CommitFailedError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.RebalanceInProgressError,
    kafka_errors.UnknownMemberIdError,
)


ClientError = KafkaError
"""Whatever the client raises."""
TooLarge = kafka_errors.MessageSizeTooLargeError
"""The broker takes only smaller messages."""
TopicExists = kafka_errors.TopicAlreadyExistsError
"""Somebody else was faster to make it."""


def held_back(error: Exception, kafka: KafkaSettings) -> Exception:
    """What to raise instead: NotNow where waiting may help, the error itself where the mistake is ours."""
    if isinstance(error, _MISTAKES):
        return error
    if isinstance(error, _NO_ANSWER):
        # Their own texts differ from try to try, and the log says each reason once.
        why = refusals.of(kafka) or f"no answer from {kafka.bootstrap_servers}"
        return NotNow(mask(f"Kafka: {why}"))
    return NotNow(mask(f"Kafka: {error}"))


class _Connections(KafkaConnectionManager):  # type: ignore[misc]  # kafka-python has no types
    """Says why the brokers turn us away, and leaves it at one try; the client itself tries on in silence."""

    def __init__(self, net: Any, kafka: KafkaSettings, **settings: Any) -> None:  # noqa: ANN401
        super().__init__(net, **settings)
        self._kafka = kafka
        self._refused_by: set[Any] = set()

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:  # noqa: ANN401
        transport = await super()._build_transport(node, timeout_at)
        receive = transport._sock_recv

        def with_last_words() -> tuple[bytes, Exception | None]:
            # A broker that refuses a login says why and hangs up; the client drops what comes with the end.
            data, error = receive()
            return data, None if data else error

        transport._sock_recv = with_last_words
        return transport

    async def _connect(self, node: Any, conn: Any, **settings: Any) -> None:  # noqa: ANN401
        await super()._connect(node, conn, **settings)
        self._note(node, conn.init_future.exception)
        if conn.init_future.succeeded() and not self.bootstrapped:
            # Without the login that it wants, a broker hangs up at the first question.
            conn.close_future.add_errback(lambda error: self._note(node, error))

    def _note(self, node: Any, error: Exception | None) -> None:  # noqa: ANN401
        is_login = isinstance(error, _REFUSED_LOGINS)
        if refusals.note(self._kafka, f"{node.host}:{node.port}", error, is_login=is_login):
            self._refused_by.add(node.node_id)

    def get_connection(self, node_id: Any, **settings: Any) -> Any:  # noqa: ANN401
        if not self.bootstrapped and self._all_refused():
            self._refused_by.clear()
            raise kafka_errors.KafkaConnectionError("turned away")
        return super().get_connection(node_id, **settings)

    def _all_refused(self) -> bool:
        return self._refused_by.issuperset(broker.node_id for broker in self.cluster.bootstrap_brokers())


def _connected(client: Callable[..., Any], kafka: KafkaSettings, **settings: Any) -> Any:  # noqa: ANN401
    """A client of that class, or NotNow when no broker answers."""
    networks: list[Any] = []

    def network(**settings: Any) -> Any:  # noqa: ANN401
        net = NetworkSelector(**settings)
        networks.append(KafkaNetClient(net, _Connections(net, kafka, **settings)))
        return networks[-1]

    try:
        return client(
            bootstrap_servers=kafka.bootstrap_servers.split(","),
            bootstrap_timeout_ms=ANSWER_MS,
            # At its default of 30 s, workers were seen to need 20 to 45 s to notice that a broker is back.
            reconnect_backoff_max_ms=1_000,
            kafka_client=network,
            **login_settings(kafka),
            **settings,
        )
    except KafkaError as error:
        # The class does not end the threads of an instance that it fails to make.
        for one in networks:
            one.close()
        raise held_back(error, kafka) from None


@contextlib.contextmanager
def answered(kafka: KafkaSettings) -> Iterator[None]:
    """Raises NotNow instead of what the client raises inside the block when no broker answers or is able."""
    try:
        yield
    except KafkaError as error:
        raise held_back(error, kafka) from None


def open_consumer(kafka: KafkaSettings, **settings: Any) -> Any:  # noqa: ANN401
    """A consumer that begins at the beginning and commits nothing by itself; raises NotNow."""
    return _connected(
        KafkaConsumer,
        kafka,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=LARGEST_BYTES,
        fetch_max_wait_ms=200,
        allow_auto_create_topics=False,
        **settings,
    )


def open_member(kafka: KafkaSettings, group: str, **settings: Any) -> Any:  # noqa: ANN401
    """A consumer that may join the group, whose name is that with the prefix; raises NotNow."""
    session_ms = int(kafka.session_timeout_s * 1000)
    membership = {
        "group_id": group,
        "client_id": f"agegender-{group}",
        "session_timeout_ms": session_ms,
        "heartbeat_interval_ms": session_ms // 3,
    }
    return open_consumer(kafka, **(membership | settings))


def open_producer(kafka: KafkaSettings, client_id: str) -> Any:  # noqa: ANN401
    """A producer whose messages are safe with all brokers that must have them; raises NotNow."""
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
        allow_auto_create_topics=False,
    )


def connect_admin(kafka: KafkaSettings) -> Any:  # noqa: ANN401
    """A client that asks for topics and groups, and changes them; to be closed. Raises NotNow."""
    return _connected(KafkaAdminClient, kafka, request_timeout_ms=ANSWER_MS)


@contextlib.contextmanager
def open_admin(kafka: KafkaSettings) -> Iterator[Any]:
    """The same for a moment; raises NotNow, also inside the block."""
    admin = connect_admin(kafka)
    try:
        with answered(kafka):
            yield admin
    finally:
        admin.close()


def settings_of(admin: Any, topic: str, settings: Iterable[str]) -> Mapping[str, str]:  # noqa: ANN401
    """What these settings of a topic are; empty where the broker does not let us see them."""
    wanted = ConfigResource(ConfigResourceType.TOPIC, topic, dict.fromkeys(settings))
    found = admin.describe_configs([wanted], config_filter="all")["topic"][topic]
    return {name: str(entry["value"]) for name, entry in found.items()}


def committed_offsets(kafka: KafkaSettings, group: str, topic: str) -> Mapping[int, int]:
    """Partition → the position behind everything that the group has done; names are those with the prefix.

    A partition of which it has done nothing is left out. Raises NotNow.
    """
    with open_admin(kafka) as admin:
        found = admin.list_group_offsets({group: None})[group]
    return {one.partition: at.offset for one, at in found.items() if one.topic == topic and at.offset >= 0}


def partitions_of(topic: str, numbers: Iterable[int]) -> list[TopicPartition]:
    """Partitions as the client wants to have them named."""
    return [TopicPartition(topic, number) for number in numbers]


def partition_of(record: Any) -> TopicPartition:  # noqa: ANN401  (kafka-python has no types)
    """Where a record lies."""
    return TopicPartition(record.topic, record.partition)


def commit(consumer: Any, positions: Mapping[TopicPartition, int], kafka: KafkaSettings) -> None:  # noqa: ANN401
    """Stores how far a group has come; raises NotNow, also while the group shares out its partitions."""
    offsets = {partition: OffsetAndMetadata(offset, "", -1) for partition, offset in positions.items()}
    try:
        consumer.commit(offsets, timeout_ms=ANSWER_MS)
    except _SHARED_OUT_ANEW:
        raise NotNow("Kafka: the group shares out its partitions") from None
    except KafkaError as error:
        raise held_back(error, kafka) from None


def _nothing(_partitions: Collection[TopicPartition]) -> None:
    pass


class Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Is told, inside of polls and by a thread of the client, which partitions are ours from now on.

    Args:
        revoked: these may go to another member once it returns.
        lost: the group took us for dead, and these may be another's already.
        assigned: these are ours; with `Cooperative`, those that are new.
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


class Cooperative(AbstractPartitionAssignor):  # type: ignore[misc]  # kafka-python has no types
    """Shares out the partitions of one topic by a plan of ours; what does not move is not interrupted.

    The client's own cooperative assignor goes on claiming what a member has lost to another, so that both
    could be given it.

    Args:
        owned: the partitions of this member.
        plan: what each member owns now, and the numbers of all partitions → what each gets. It must give
            nobody what somebody else owns.
    """

    name = "agegender-by-load"
    version = 1  # of the client's protocol: from this one on, members say what they own

    def __init__(
        self,
        topic: str,
        owned: Callable[[], Collection[int]],
        plan: Callable[[Mapping[str, Set[int]], Set[int]], Mapping[str, Set[int]]],
    ) -> None:
        self._topic = topic
        self._owned = owned
        self._plan = plan

    def supported_protocols(self) -> list[RebalanceProtocol]:
        """Only the one with two rounds: first what moves is given up, then it is given."""
        return [RebalanceProtocol.COOPERATIVE]

    def metadata(self, topics: Collection[str]) -> ConsumerProtocolSubscription:
        """What this member tells the one who shares out."""
        owned = ConsumerProtocolSubscription.TopicPartition(
            topic=self._topic, partitions=sorted(self._owned())
        )
        return ConsumerProtocolSubscription(
            version=self.version, topics=sorted(topics), user_data=b"", owned_partitions=[owned]
        )

    def assign(self, cluster: Any, members: Iterable[Any]) -> dict[str, ConsumerProtocolAssignment]:  # noqa: ANN401
        """Called in the one member that shares out."""
        owned = {
            member.member_id: {
                number for one in member.metadata.owned_partitions or () for number in one.partitions
            }
            for member in members
        }
        plan = self._plan(owned, set(cluster.partitions_for_topic(self._topic) or ()))
        return {
            member: ConsumerProtocolAssignment(self.version, [(self._topic, sorted(parts))], b"")
            for member, parts in plan.items()
        }

    def on_assignment(self, assignment: Any, generation: int) -> None:  # noqa: ANN401
        """What a member has is asked of the member."""
