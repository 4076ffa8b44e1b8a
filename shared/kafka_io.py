"""The transport over Kafka. The only file that imports the client, kafka-python.

`kafka_table` and `kafka_group` build on what is opened here.

An output returns when all brokers that must have a message have it; a source commits by hand, after the
runner has done the work. Between these two a crash can repeat messages and never lose one. Repeats do no
harm: ids of faces are derived from camera, frame and position, and the store refuses an id it has seen.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, Generic, TypeVar

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType
from kafka.coordinator.assignors.abstract import AbstractPartitionAssignor, RebalanceProtocol
from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from kafka.structs import OffsetAndMetadata

from shared.codec import MAX_MESSAGE_BYTES, Encoded, check_size
from shared.dead_letters import DeadLetter
from shared.errors import BadMessage, NotNow, SettingsError
from shared.messages import Model
from shared.secrets import mask
from shared.settings import KafkaSettings
from shared.topics import DEAD_LETTERS_NAME, DEAD_LETTERS_RETENTION_S, Table, Topic
from shared.transport import Delivery, Share

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Model)
T = TypeVar("T")

_LARGEST_BYTES = MAX_MESSAGE_BYTES + 64_000  # with what the client and the broker add around a message
_ANSWER_MS = 3_000  # how long one call waits for the broker before the runner hears of it
_CLOSE_MS = 3_000
_KEEP_ALIVE_MS = 100  # without any time, a poll would never take partitions in
_TABLE_SEGMENT_MS = 24 * 3600 * 1000  # Kafka compacts only closed segments
_CHANGING_SEGMENT_MS = 60 * 1000
_ASK_AFTER_S = 5.0  # an empty poll says nothing: after so much silence the broker is asked

_MISTAKES: tuple[type[Exception], ...] = (
    kafka_errors.IllegalArgumentError,
    kafka_errors.IllegalStateError,
    kafka_errors.KafkaConfigurationError,
)
_NO_ANSWER = (kafka_errors.KafkaConnectionError, kafka_errors.KafkaTimeoutError)
_SHARED_OUT_ANEW = (
    kafka_errors.CommitFailedError,
    kafka_errors.IllegalGenerationError,
    kafka_errors.RebalanceInProgressError,
    kafka_errors.UnknownMemberIdError,
)


def _held_back(error: Exception, kafka: KafkaSettings) -> Exception:
    """What to raise instead: NotNow where waiting may help, the error itself where the mistake is ours."""
    if isinstance(error, _MISTAKES):
        return error
    if isinstance(error, _NO_ANSWER):
        # Their own texts differ from try to try, and the log says each reason once.
        return NotNow(f"Kafka: no answer from {kafka.bootstrap_servers}")
    return NotNow(mask(f"Kafka: {error}"))


def _connected(client: Callable[..., Any], kafka: KafkaSettings, **settings: Any) -> Any:  # noqa: ANN401
    """A client of that class, or NotNow when no broker answers."""
    networks: list[Any] = []

    def network(**settings: Any) -> Any:  # noqa: ANN401
        networks.append(KafkaNetClient(**settings))
        return networks[-1]

    try:
        return client(
            bootstrap_servers=kafka.bootstrap_servers.split(","),
            bootstrap_timeout_ms=_ANSWER_MS,
            # At its default of 30 s, workers were seen to need 20 to 45 s to notice that a broker is back.
            reconnect_backoff_max_ms=1_000,
            kafka_client=network,
            **settings,
        )
    except KafkaError as error:
        # The class does not end the threads of an instance that it fails to make.
        for one in networks:
            one.close()
        raise _held_back(error, kafka) from None


@contextlib.contextmanager
def answered(kafka: KafkaSettings) -> Iterator[None]:
    """Raises NotNow instead of what the client raises inside the block when no broker answers or is able."""
    try:
        yield
    except KafkaError as error:
        raise _held_back(error, kafka) from None


def open_consumer(kafka: KafkaSettings, **settings: Any) -> Any:  # noqa: ANN401
    """A consumer that begins at the beginning and commits nothing by itself; raises NotNow."""
    return _connected(
        KafkaConsumer,
        kafka,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_LARGEST_BYTES,
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
        max_request_size=_LARGEST_BYTES,
        max_block_ms=_ANSWER_MS,
        allow_auto_create_topics=False,
    )


def ensure_topic(kafka: KafkaSettings, name: str, retention_s: int) -> None:
    """Creates the topic when it does not exist; one that does is left as it is.

    Segments are closed long before they may be deleted: Kafka deletes only closed ones, so pictures would
    otherwise stay for days in a topic that is said to keep them for minutes. Their age is counted by the
    broker's clock, whatever the workers' clocks say.

    Raises:
        NotNow: no broker answers.
    """
    _ensure(
        kafka,
        name,
        kafka.partitions,
        {
            "cleanup.policy": "delete",
            "retention.ms": str(retention_s * 1000),
            "segment.ms": str(max(60_000, retention_s * 1000 // 4)),
        },
    )


def ensure_table(kafka: KafkaSettings, name: str, partitions: int, kept_s: int | None = None) -> None:
    """Creates a compacted topic when it does not exist; one that does is left as it is.

    Args:
        kept_s: how long each message is kept; None: for ever. Such a table changes all the time, and Kafka
            compacts what is older than a minute.

    Raises:
        NotNow: no broker answers.
        SettingsError: the topic exists and is not compacted: Kafka would forget what is in it.
    """
    configs = {"cleanup.policy": "compact", "segment.ms": str(_TABLE_SEGMENT_MS)}
    if kept_s is not None:
        configs = {
            "cleanup.policy": "compact,delete",
            "retention.ms": str(kept_s * 1000),
            "segment.ms": str(_CHANGING_SEGMENT_MS),
            "min.compaction.lag.ms": str(_CHANGING_SEGMENT_MS),
        }
    _ensure(kafka, name, partitions, configs)
    wanted = ConfigResource(ConfigResourceType.TOPIC, name, {"cleanup.policy": None})
    with _admin(kafka) as admin:
        policy = admin.describe_configs([wanted], config_filter="all")["topic"][name]["cleanup.policy"]
    if "compact" not in policy["value"]:
        raise SettingsError(
            f"the topic {name!r} has cleanup.policy={policy['value']}, expected compact: Kafka would forget "
            "its records after a while. Change it with kafka-configs.sh, or delete the topic: it is made anew"
        )


def ensure_partitions(kafka: KafkaSettings, name: str, partitions: int) -> None:
    """Adds partitions to a topic that has fewer.

    Raises:
        NotNow: no broker answers, or the topic has more, of which none can be taken away.
    """
    with _admin(kafka) as admin:
        (topic,) = admin.describe_topics([name])
        have = len(topic["partitions"])
        if have < partitions:
            admin.create_partitions({name: partitions})
            log.info("partitions added", extra={"topic": name, "partitions": partitions})
    if have > partitions:
        raise NotNow(
            f"Kafka: the topic {name!r} has {have} partitions, expected {partitions}: what it holds would be "
            "looked for in the wrong ones. Delete it: it is made anew"
        )


@contextlib.contextmanager
def _admin(kafka: KafkaSettings) -> Iterator[Any]:
    admin = _connected(KafkaAdminClient, kafka, request_timeout_ms=_ANSWER_MS)
    try:
        with answered(kafka):
            yield admin
    finally:
        admin.close()


def _ensure(kafka: KafkaSettings, name: str, partitions: int, configs: Mapping[str, str]) -> None:
    topic = {
        "num_partitions": partitions,
        "replication_factor": kafka.replication,
        "configs": {
            **configs,
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(_LARGEST_BYTES),
            # With several copies, one broker may be away and nothing is held back or lost.
            "min.insync.replicas": str(max(1, kafka.replication - 1)),
        },
    }
    with _admin(kafka) as admin:
        if name in admin.list_topics():
            return
        try:
            admin.create_topics({name: topic})
            log.info("topic created", extra={"topic": name, "partitions": partitions})
        except kafka_errors.TopicAlreadyExistsError:
            pass  # another worker was faster
        admin.wait_for_topics([name], timeout_ms=_ANSWER_MS)


def partitions_of(topic: str, numbers: Iterable[int]) -> list[Any]:
    """Partitions as the client wants to have them named."""
    return [TopicPartition(topic, number) for number in numbers]


class Handover(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Is told, inside of polls and by a thread of the client, which partitions go to somebody else.

    Args:
        give_up: returns when nothing of ours works on them any more; until then nobody else gets them.
    """

    def __init__(self, give_up: Callable[[Set[int]], None]) -> None:
        self._give_up = give_up

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """These go to another member once we return."""
        self._give_up({one.partition for one in revoked})

    def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:
        """The group took us for dead: these may be another's already."""
        self._give_up({one.partition for one in lost})

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """The member sees for itself what it has."""


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


def _partition(record: Any) -> TopicPartition:  # noqa: ANN401  (kafka-python has no types)
    return TopicPartition(record.topic, record.partition)


class _Sharing(ConsumerRebalanceListener):  # type: ignore[misc]  # kafka-python has no types
    """Is told, inside of polls, which partitions are ours from now on."""

    def __init__(self, keep: Callable[[Collection[TopicPartition]], None]) -> None:
        self._keep = keep

    def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Sharing out begins: what stays ours is not known yet."""

    def on_partitions_lost(self, lost: Collection[TopicPartition]) -> None:  # noqa: ARG002
        """The group took us for dead: what comes back starts from the last commit."""
        self._keep(())

    def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        """What was ours and still is goes on at its position; what is new starts from the last commit."""
        self._keep(assigned)


class KafkaSource(Generic[M]):
    """Reads a topic as a member of a consumer group; the members share the partitions.

    Args:
        group: the name of the group without the prefix of the settings.
        on_share: called in `poll` when what this member holds has changed: after all that was handed out is
            committed, and before anything more is. It may raise NotNow, and is then called again.
    """

    def __init__(
        self,
        topic: Topic[M],
        group: str,
        kafka: KafkaSettings,
        on_share: Callable[[Share], None] | None = None,
    ) -> None:
        self._topic = topic
        self._name = kafka.topic_prefix + topic.name
        self._group = kafka.topic_prefix + group
        self._kafka = kafka
        self._consumer: Any = None
        self._done: dict[TopicPartition, int] = {}
        self._buffer: deque[Any] = deque()
        self._heard_at_s = 0.0
        self._on_share = on_share
        self._held: frozenset[int] = frozenset()
        self._is_share_new = False
        self._is_in_hand = False

    def open(self) -> None:
        """Joins the group; creates the topic where it does not exist."""
        ensure_topic(self._kafka, self._name, self._topic.retention_s)
        self._consumer = open_member(self._kafka, self._group)
        self._consumer.subscribe([self._name], listener=_Sharing(self._keep))
        self._heard_at_s = time.monotonic()

    def _keep(self, partitions: Collection[TopicPartition]) -> None:
        """Forgets what was read from partitions that are not ours any more."""
        held = frozenset(one.partition for one in partitions)
        if held != self._held:
            self._held, self._is_share_new = held, True
        self._buffer = deque(record for record in self._buffer if _partition(record) in partitions)
        self._done = {
            partition: offset for partition, offset in self._done.items() if partition in partitions
        }

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[Delivery[M]]:
        """See `transport.Source`."""
        if not self._buffer:
            self._fetch(max_messages, timeout_s)
        if self._is_share_new and self._on_share is not None:
            if self._is_in_hand:
                return ()
            self._tell_share(self._on_share)
        taken = [self._buffer.popleft() for _ in range(min(max_messages, len(self._buffer)))]
        self._is_in_hand = self._is_in_hand or bool(taken)
        for record in taken:
            self._done[_partition(record)] = record.offset + 1
        return [self._deliver(record) for record in taken]

    def _tell_share(self, on_share: Callable[[Share], None]) -> None:
        while self._is_share_new:
            # First, because a thread of the client may change it again meanwhile.
            self._is_share_new = False
            try:
                partitions = len(self._consumer.partitions_for_topic(self._name) or ())
                on_share(Share(self._held, partitions))
            except NotNow:
                self._is_share_new = True
                raise

    def _fetch(self, max_messages: int, timeout_s: float) -> None:
        try:
            self._fill_buffer(max_messages, int(timeout_s * 1000))
            if not self._buffer and time.monotonic() < self._heard_at_s + _ASK_AFTER_S:
                return
            if not self._buffer:
                self._consumer.end_offsets([TopicPartition(self._name, 0)], timeout_ms=_ANSWER_MS)
            self._heard_at_s = time.monotonic()
        except KafkaError as error:
            raise _held_back(error, self._kafka) from None

    def _fill_buffer(self, max_messages: int, timeout_ms: int) -> None:
        coordinator = self._consumer._coordinator
        until_s = time.monotonic() + _ANSWER_MS / 1000
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
            message = self._topic.codec.decode(raw)
        except BadMessage as error:
            message = error
        return Delivery(message, f"{record.topic}/{record.partition}@{record.offset}", raw)

    def commit(self) -> None:
        """Stores the position behind everything handed out, but for partitions that were taken away."""
        if not self._done:
            self._is_in_hand = False
            return
        offsets = {partition: OffsetAndMetadata(offset, "", -1) for partition, offset in self._done.items()}
        try:
            self._consumer.commit(offsets, timeout_ms=_ANSWER_MS)
        except _SHARED_OUT_ANEW:
            # The next polls tell what stays ours; what does not is repeated by another member.
            raise NotNow(f"Kafka: group {self._group!r} shares out its partitions") from None
        except KafkaError as error:
            raise _held_back(error, self._kafka) from None
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
        except KafkaError as error:
            log.debug("keep-alive failed", extra={"reason": mask(str(error))})
        finally:
            self._consumer.resume(*self._consumer.assignment())

    @property
    def exhausted(self) -> bool:
        """A topic never ends."""
        return False

    def close(self) -> None:
        """Leaves the group at once, so that others take over without waiting."""
        self._is_in_hand = False
        consumer, self._consumer = self._consumer, None
        self._keep(())
        if consumer is not None:
            consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)


class _KafkaWriter(Generic[T]):
    """Writes to a topic, which it creates where it does not exist.

    What is on its way when the time is over is not sent again by the next call: that call waits on. Only what
    has failed is sent anew, in its old order and before the rest.
    """

    def __init__(
        self,
        name: str,
        ensure: Callable[[str], None],
        encode: Callable[[T], Encoded],
        kafka: KafkaSettings,
    ) -> None:
        self._name = name
        self._ensure = ensure
        self._encode = encode
        self._kafka = kafka
        self._producer: Any = None
        self._batch: Sequence[T] | None = None
        self._unsent: deque[Encoded] = deque()
        self._on_the_way: list[tuple[Encoded, Any]] = []

    def open(self) -> None:
        """See `transport.Output`."""
        if self._producer is None:
            self._ensure(self._name)
            self._producer = open_producer(self._kafka, f"agegender-{self._name}")

    def write(self, messages: Sequence[T]) -> None:
        """See `transport.Output`.

        Raises:
            BadMessage: a message is larger than any message may be. Nothing was written.
            SettingsError: the topic was made by somebody else, for smaller messages.
        """
        if not messages:
            return
        if messages is not self._batch:  # or else this is the same call again
            self._unsent, self._on_the_way = deque(self._encoded(messages)), []
            self._batch = messages
        try:
            self.open()
            self._settle()
            while self._unsent:
                self._send(self._unsent[0])
                self._unsent.popleft()
            self._settle()
        except kafka_errors.MessageSizeTooLargeError:
            raise SettingsError(
                f"Kafka refuses a message for {self._name!r} that is within our limit: raise the topic's "
                f"max.message.bytes to {_LARGEST_BYTES}"
            ) from None
        except KafkaError as error:
            if not self._on_the_way:
                # It may be broken for good, or its topic gone: the next call begins with `open`.
                self._drop_producer()
            raise _held_back(error, self._kafka) from None
        self._batch = None

    def _encoded(self, messages: Sequence[T]) -> Sequence[Encoded]:
        encoded = [self._encode(message) for message in messages]
        for one in encoded:
            check_size(one, self._name)
        return encoded

    def _send(self, one: Encoded) -> None:
        future = self._producer.send(self._name, value=one.value, key=one.key, headers=list(one.headers))
        self._on_the_way.append((one, future))

    def _settle(self) -> None:
        """Waits for what is on its way; what has failed is unsent again, and why is raised."""
        if not self._on_the_way:
            return
        self._producer.flush(timeout=_ANSWER_MS / 1000)
        failed = [(one, future) for one, future in self._on_the_way if future.failed()]
        self._on_the_way = []
        if failed:
            self._unsent.extendleft(one for one, _ in reversed(failed))
            raise failed[0][1].exception

    def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # What is still on its way was never reported as written, and to wait for it could take minutes.
        producer._sender.force_close()
        try:
            producer.close(timeout=_CLOSE_MS / 1000)
        except KafkaError as error:
            log.debug("producer not closed", extra={"reason": mask(str(error))})

    def close(self) -> None:
        """See `transport.Output`."""
        self._drop_producer()
        self._batch = None


class KafkaOutput(_KafkaWriter[M]):
    """Writes the messages of a topic."""

    def __init__(self, topic: Topic[M], kafka: KafkaSettings) -> None:
        super().__init__(
            kafka.topic_prefix + topic.name,
            lambda name: ensure_topic(kafka, name, topic.retention_s),
            topic.codec.encode,
            kafka,
        )


class KafkaTableOutput(_KafkaWriter[M]):
    """Writes the messages of a table.

    Args:
        partitions: of the topic, where it does not exist yet.
    """

    def __init__(self, table: Table[M], kafka: KafkaSettings, partitions: int) -> None:
        super().__init__(
            kafka.topic_prefix + table.name,
            lambda name: ensure_table(kafka, name, partitions, table.kept_s),
            table.codec.encode,
            kafka,
        )


class KafkaDeadLetters(_KafkaWriter[DeadLetter]):
    """Writes dead letters: why and where from in headers; the message itself only where settings say so."""

    def __init__(self, kafka: KafkaSettings) -> None:
        name = kafka.topic_prefix + DEAD_LETTERS_NAME
        keep = kafka.dead_letter_pictures
        super().__init__(
            name,
            lambda name: ensure_topic(kafka, name, DEAD_LETTERS_RETENTION_S),
            lambda letter: letter.encoded(keep_value=keep),
            kafka,
        )
