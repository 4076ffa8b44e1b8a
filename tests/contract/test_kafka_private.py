"""The private parts of kafka-python that `shared/kafka/private.py` uses still exist and behave the same."""

from __future__ import annotations

import inspect
import select
import socket
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from kafka import KafkaConsumer, KafkaProducer
from kafka.coordinator.assignors.abstract import AbstractPartitionAssignor, RebalanceProtocol
from kafka.net.compat import KafkaNetClient
from kafka.net.manager import KafkaConnectionManager
from kafka.net.transport import KafkaSSLTransport, KafkaTCPTransport
from kafka.protocol.consumer.metadata import ConsumerProtocolAssignment

from agegender.shared.errors import NotNow
from agegender.shared.kafka.client import joined_as, open_member, open_producer
from agegender.shared.kafka.private import Cooperative, Membership, Network, abort
from agegender.shared.kafka.topic_admin import ensure_topic
from agegender.shared.process.settings import KafkaSettings
from tests.support.bad_servers import hangs_up, tcp_server
from tests.support.waiting import wait_until


@pytest.fixture
def settings(kafka: str, random_suffix: str) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=kafka, topic_prefix=f"{random_suffix}-", session_timeout_s=6)


@pytest.fixture
def consumer(settings: KafkaSettings) -> Iterator[Any]:
    """The only member of a group on a topic without messages."""
    topic = f"{settings.topic_prefix}empty"
    ensure_topic(settings, topic, 60)
    member = open_member(settings, f"{settings.topic_prefix}group", heartbeat_interval_ms=200)
    member.subscribe([topic])
    yield member
    member.close(autocommit=False, timeout_ms=3_000)


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        (KafkaConnectionManager._build_transport, ["self", "node", "timeout_at"]),
        (KafkaConnectionManager._connect, ["self", "node", "conn"]),
        (KafkaConnectionManager.get_connection, ["self", "node_id"]),
        (KafkaNetClient.__init__, ["self", "net", "manager"]),
        (KafkaTCPTransport._sock_recv, ["self"]),
        (KafkaSSLTransport._sock_recv, ["self"]),
    ],
)
def test_an_overridden_method_has_its_parameters(method: Callable[..., Any], parameters: list[str]) -> None:
    assert list(inspect.signature(method).parameters)[: len(parameters)] == parameters


def test_the_last_words_of_a_server_are_received() -> None:
    """The client itself drops bytes that arrive together with the end of the connection."""
    assert "self._sock_recv()" in inspect.getsource(KafkaTCPTransport._read_from_sock)
    with tcp_server(lambda connection: connection.sendall(b"wrong password")) as port:
        client = Network(KafkaSettings(), connect_ms=500)()
        node = SimpleNamespace(host="127.0.0.1", port=port, node_id="bootstrap-0")
        transport = client._net.run(client._manager._build_transport, node)
        wait_until(lambda: has_ended(transport._sock), 5, "the server hangs up")
        assert transport._sock_recv() == (b"wrong password", None)
        assert "socket disconnected" in str(transport._sock_recv()[1])
        transport.abort()
        client.close()


def has_ended(sock: socket.socket) -> bool:
    """Whether the other end has closed the connection. Bytes may still be left to read."""
    polling = select.poll()
    polling.register(sock, select.POLLRDHUP)
    return bool(polling.poll(0))


def test_the_time_to_connect_is_a_setting_of_the_manager() -> None:
    manager = Network(KafkaSettings(), connect_ms=700)()._manager
    assert manager.socket_connection_setup_timeout_ms("bootstrap-0") == 700
    manager.update_backoff("bootstrap-0")
    manager.update_backoff("bootstrap-0")
    assert manager.socket_connection_setup_timeout_ms("bootstrap-0") <= 700 * 1.2
    manager.close()
    manager._net.close()


def test_a_connection_has_settings_of_its_own_for_the_login() -> None:
    manager = Network(KafkaSettings(), connect_ms=700)()._manager
    connection = manager.get_connection("bootstrap-0")
    connection.config.update(sasl_plain_password="another")
    assert manager.config["sasl_plain_password"] is None
    assert "**self.config" in inspect.getsource(type(connection)._sasl_authenticate)
    manager.close()
    manager._net.close()


@pytest.mark.parametrize("client", [KafkaConsumer, KafkaProducer])
def test_a_client_takes_its_network_from_a_setting(client: Any) -> None:  # noqa: ANN401
    assert client.DEFAULT_CONFIG["kafka_client"] is KafkaNetClient


def test_the_network_of_a_failed_client_can_be_closed() -> None:
    with tcp_server(hangs_up) as port:
        network = Network(KafkaSettings(bootstrap_servers=f"127.0.0.1:{port}"), connect_ms=500)
        with pytest.raises(Exception, match=r"refused|bootstrap"):
            KafkaProducer(
                bootstrap_servers=[f"127.0.0.1:{port}"], bootstrap_timeout_ms=500, kafka_client=network
            )
        (opened,) = network._opened
        thread = opened._net._io_thread
        network.close()
        wait_until(lambda: thread is None or not thread.is_alive(), 5, "the thread of the client ends")


def test_a_refusal_ends_the_bootstrap_early() -> None:
    """The client alone would try until the time is up, and report a timeout."""
    with tcp_server(hangs_up) as port:
        started_s = time.monotonic()
        with pytest.raises(NotNow, match="KAFKA_SECURITY_PROTOCOL"):
            open_producer(KafkaSettings(bootstrap_servers=f"127.0.0.1:{port}"), "test")
        assert time.monotonic() - started_s < 2.5


def test_membership_follows_the_group(consumer: Any) -> None:  # noqa: ANN401
    membership = Membership(consumer)
    assert joined_as(consumer) is None
    assert membership.is_leader is False
    assert membership.is_rejoining is False

    def joined() -> bool:
        consumer.poll(timeout_ms=1_000)
        return joined_as(consumer) is not None

    wait_until(joined, 20, "the member joins")
    assert membership.is_leader is True
    started_s = time.monotonic()
    wait_until(lambda: membership.heartbeat.sent_s > started_s, 5, "a heartbeat is sent")
    sent_s = membership.heartbeat.sent_s
    wait_until(lambda: membership.heartbeat.answered_s >= sent_s, 5, "the heartbeat is answered")
    assert membership.heartbeat.answered_s <= time.monotonic()


def test_rejoining_starts_another_generation(consumer: Any) -> None:  # noqa: ANN401
    def generation() -> int:
        consumer.poll(timeout_ms=1_000)
        joined = joined_as(consumer)
        return -1 if joined is None else joined[0]

    wait_until(lambda: generation() > 0, 20, "the member joins")
    before = joined_as(consumer)
    assert before is not None
    membership = Membership(consumer)
    membership.rejoin()
    wait_until(lambda: generation() > before[0], 20, "the next generation begins")
    assert membership.is_rejoining is False


def test_an_aborted_producer_closes_at_once(settings: KafkaSettings) -> None:
    producer = open_producer(settings, "test")
    abort(producer)
    producer.close(timeout=3)
    assert producer._sender._force_close is True
    wait_until(lambda: not producer._sender.is_alive(), 5, "the sender ends")


def test_an_assignor_is_what_the_client_expects() -> None:
    assert issubclass(Cooperative, AbstractPartitionAssignor)
    assert AbstractPartitionAssignor.__abstractmethods__ == {
        "name",
        "metadata",
        "assign",
        "on_assignment",
    }
    first = Cooperative("topic", lambda: {1, 2}, lambda owned, numbers: {"a": numbers, "b": owned["a"]})
    assert first.supported_protocols() == [RebalanceProtocol.COOPERATIVE]
    told = first.metadata(["topic"])
    assert told.owned_partitions[0].partitions == [1, 2]
    member = SimpleNamespace(member_id="a", metadata=told)
    cluster = SimpleNamespace(partitions_for_topic=lambda _topic: {0, 1, 2})
    given = first.assign(cluster, [member])
    for name, numbers in {"a": [0, 1, 2], "b": [1, 2]}.items():
        received = ConsumerProtocolAssignment.decode(given[name].encode())
        assert [one.partitions for one in received.assigned_partitions] == [numbers]
