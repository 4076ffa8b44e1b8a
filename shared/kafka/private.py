"""Every use of a part of kafka-python that its documentation does not promise.

Any release may change these parts, so kafka-python is pinned to its minor version. Each part is named with
the reason for its use. `tests/contract/test_kafka_private.py` fails when one vanishes or changes its shape.
`docs/adr/0012-kafka-python.md` tells what would make them unnecessary.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from typing import Any, NamedTuple

from kafka import errors as kafka_errors
from kafka.coordinator.assignors.abstract import AbstractPartitionAssignor, RebalanceProtocol
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.selector import NetworkSelector
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment, ConsumerProtocolSubscription

from agegender.shared.kafka.login import password_setting, refusals
from agegender.shared.process.settings import KafkaSettings

_REFUSED_LOGINS = (
    kafka_errors.IllegalSaslStateError,
    kafka_errors.SaslAuthenticationFailedError,
    kafka_errors.UnsupportedSaslMechanismError,
)


class Network:
    """Builds the network side of one client, and can close it when the client fails to start.

    Passed as the setting `kafka_client`. Three gaps of the client make it necessary. A constructor that fails
    leaves its thread and sockets behind. A refused login is retried in silence until the time is up, see
    `_ConnectionManager`. And no client accepts `socket_connection_setup_timeout_ms`, which is 10 s: a broker
    that falls silent after the first connection would hold up a call for that long.

    Args:
        connect_ms: how long a connection may take until the broker has answered.
    """

    def __init__(self, kafka: KafkaSettings, connect_ms: int) -> None:
        self._kafka = kafka
        self._setup = {
            "socket_connection_setup_timeout_ms": connect_ms,
            "socket_connection_setup_timeout_max_ms": connect_ms,
        }
        self._opened: list[KafkaNetClient] = []

    def __call__(self, **settings: Any) -> KafkaNetClient:  # noqa: ANN401
        """The network of a client with these settings of kafka-python."""
        selector = NetworkSelector(**settings)
        manager = _ConnectionManager(selector, self._kafka, **settings, **self._setup)
        self._opened.append(KafkaNetClient(selector, manager))
        return self._opened[-1]

    def close(self) -> None:
        """Ends the threads and connections of a client after its constructor failed."""
        for network in self._opened:
            network.close()


class _ConnectionManager(KafkaConnectionManager):  # type: ignore[misc]  # kafka-python has no types
    """Records why brokers refuse a connection, and stops the bootstrap once all of them have refused.

    Overrides `_build_transport`, `_connect` and `get_connection`, the only places that see the error of one
    connection. The client itself reports a refusal only as a timeout.

    Each connection logs in with the password of that moment. The client would use the first one for ever.
    """

    def __init__(self, net: Any, kafka: KafkaSettings, **settings: Any) -> None:  # noqa: ANN401
        super().__init__(net, **settings)
        self._kafka = kafka
        self._refused_by: set[Any] = set()

    async def _build_transport(self, node: Any, timeout_at: float | None = None) -> Any:  # noqa: ANN401
        try:
            transport = await super()._build_transport(node, timeout_at)
        except kafka_errors.KafkaError as error:
            # The client leaves the socket of a failed attempt to the garbage collector. The frames of the
            # error hold it; without them it closes now.
            traceback.clear_frames(error.__traceback__)
            raise
        receive = transport._sock_recv

        def receive_last_words() -> tuple[bytes, Exception | None]:
            # A broker that refuses a login says why and hangs up. The client drops the bytes that arrive
            # together with the end of the connection, and the reason with them.
            data, error = receive()
            return data, None if data else error

        transport._sock_recv = receive_last_words
        return transport

    async def _connect(self, node: Any, conn: Any, **settings: Any) -> None:  # noqa: ANN401
        conn.config.update(password_setting(self._kafka))
        await super()._connect(node, conn, **settings)
        self._note(node, conn.init_future.exception)
        if conn.init_future.succeeded() and not self.bootstrapped:
            # A broker that expects a login, and gets none, hangs up only at the first question.
            conn.close_future.add_errback(lambda error: self._note(node, error))

    def _note(self, node: Any, error: Exception | None) -> None:  # noqa: ANN401
        is_login = isinstance(error, _REFUSED_LOGINS)
        if refusals.note(self._kafka, f"{node.host}:{node.port}", error, is_login=is_login):
            self._refused_by.add(node.node_id)

    def get_connection(self, node_id: Any, **settings: Any) -> Any:  # noqa: ANN401
        if not self.bootstrapped and self._all_refused():
            self._refused_by.clear()
            raise kafka_errors.KafkaConnectionError("refused")
        return super().get_connection(node_id, **settings)

    def _all_refused(self) -> bool:
        return self._refused_by.issuperset(broker.node_id for broker in self.cluster.bootstrap_brokers())


class Heartbeat(NamedTuple):
    """When a member last sent a heartbeat and last got an answer, by `time.monotonic`."""

    sent_s: float
    answered_s: float


class Membership:
    """The place of a consumer in its group, which the client keeps in its private `_coordinator`.

    Args:
        consumer: a KafkaConsumer with a group.
    """

    def __init__(self, consumer: Any) -> None:  # noqa: ANN401
        self._coordinator = consumer._coordinator

    @property
    def heartbeat(self) -> Heartbeat:
        """The last heartbeat. The lease of a worker on its cameras counts from an answered one.

        Needs `heartbeat.last_send` and `heartbeat.last_receive`: the client exposes ages in its metrics only,
        and those are rounded by the time of the reading.
        """
        heartbeat = self._coordinator.heartbeat
        return Heartbeat(heartbeat.last_send, heartbeat.last_receive)

    @property
    def joined_as(self) -> tuple[int, str] | None:
        """Generation of the group and id of this member; None during a rebalance.

        Needs `generation_if_stable`: the public `group_metadata` does not tell whether the group is stable.
        """
        generation = self._coordinator.generation_if_stable()
        return None if generation is None else (generation.generation_id, generation.member_id)

    @property
    def is_leader(self) -> bool:
        """Whether this member makes the assignment for its group. Needs `_is_leader`."""
        return bool(self._coordinator._is_leader)

    @property
    def is_rejoining(self) -> bool:
        """Whether the member has asked to join and has no assignment yet. Needs `rejoining`."""
        return bool(self._coordinator.rejoining)

    def rejoin(self) -> None:
        """Makes the next poll ask for an assignment. Needs `request_rejoin`.

        The client takes an assignment in only while it polls. It throws away one that came between two polls.
        If new partitions were the cause, it even forgets that it has asked: the member then stays without
        partitions and without heartbeats.
        """
        self._coordinator.request_rejoin()


def abort(producer: Any) -> None:  # noqa: ANN401
    """Makes a producer give up the messages on their way, so that closing it takes no time.

    Needs `_sender.force_close`. The public `close` waits for messages that no broker will take, which may
    take minutes, and at its own timeout leaves the thread running.
    """
    producer._sender.force_close()


class Cooperative(AbstractPartitionAssignor):  # type: ignore[misc]  # kafka-python has no types
    """Assigns the partitions of one topic by our own plan; partitions that stay are not interrupted.

    Needs the base class of the assignors and the messages of the group protocol, which the client does not
    document. Its own cooperative assignor keeps claiming partitions that a member has lost to another, so
    that both could be given the same one.

    Args:
        owned: the partitions of this member.
        plan: what each member owns now, and the numbers of all partitions → what each gets. It must give no
            member a partition that another still owns.
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
        """Only the one with two rounds: members first give up what moves, then others get it."""
        return [RebalanceProtocol.COOPERATIVE]

    def metadata(self, topics: Collection[str]) -> ConsumerProtocolSubscription:
        """What this member tells the leader of the group."""
        owned = ConsumerProtocolSubscription.TopicPartition(
            topic=self._topic, partitions=sorted(self._owned())
        )
        return ConsumerProtocolSubscription(
            version=self.version, topics=sorted(topics), user_data=b"", owned_partitions=[owned]
        )

    def assign(self, cluster: Any, members: Iterable[Any]) -> dict[str, ConsumerProtocolAssignment]:  # noqa: ANN401
        """Makes the assignment; called in the leader of the group only."""
        owned = {
            member.member_id: {
                number for one in member.metadata.owned_partitions or () for number in one.partitions
            }
            for member in members
        }
        plan = self._plan(owned, set(cluster.partitions_for_topic(self._topic) or ()))
        return {
            member: ConsumerProtocolAssignment(self.version, [(self._topic, sorted(numbers))], b"")
            for member, numbers in plan.items()
        }

    def on_assignment(self, assignment: Any, generation: int) -> None:  # noqa: ANN401
        """Nothing to keep: the consumer knows its assignment."""
