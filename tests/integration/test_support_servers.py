"""The servers that other tests stand on are real, survive what tests do to them, and do not outlive us."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from agegender.shared.store.embedded import EmbeddedStore
from tests.support.availability import ServerUnavailableError, skip_or_fail
from tests.support.kafka_broker import (
    KafkaBroker,
    broker_answers,
    broker_settings,
    launch_broker,
    settings_as_environment,
)
from tests.support.kafka_jars import kafka_jars
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

_ROOT = Path(__file__).parents[2]


def _produce(bootstrap_servers: str, topic: str, values: list[bytes]) -> None:
    with KafkaProducer(bootstrap_servers=bootstrap_servers, max_request_size=3_000_000) as producer:
        sent = [producer.send(topic, value) for value in values]
        for future in sent:
            future.get(timeout=20)


def _consume(bootstrap_servers: str, topic: str, count: int) -> list[bytes]:
    values: list[bytes] = []
    with KafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=3_000_000,
    ) as consumer:
        consumer.assign([TopicPartition(topic, 0)])

        def all_here() -> bool:
            for records in consumer.poll(timeout_ms=200).values():
                values.extend(record.value for record in records)
            return len(values) >= count

        wait_until(all_here, 20, f"{count} messages of {topic} are read")
    return values


def _create_topic(bootstrap_servers: str, topic: str) -> None:
    with KafkaAdminClient(bootstrap_servers=bootstrap_servers) as admin:
        admin.create_topics({topic: {"num_partitions": 1, "replication_factor": 1}})


def test_the_broker_keeps_a_message_near_the_size_limit(
    kafka: str, topic_names: Callable[[str], str]
) -> None:
    topic = topic_names("frames")
    _create_topic(kafka, topic)
    values = [b"", b"small", os.urandom(2_900_000)]
    _produce(kafka, topic, values)
    assert _consume(kafka, topic, 3) == values


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_restarted_broker_keeps_its_address_and_data(own_broker: KafkaBroker, how: str) -> None:
    _create_topic(own_broker.bootstrap_servers, "kept")
    _produce(own_broker.bootstrap_servers, "kept", [b"before"])
    {"stop": own_broker.stop, "kill": own_broker.kill}[how]()
    assert not broker_answers(own_broker.bootstrap_servers)
    own_broker.start()
    _produce(own_broker.bootstrap_servers, "kept", [b"after"])
    assert _consume(own_broker.bootstrap_servers, "kept", 2) == [b"before", b"after"]


def test_a_frozen_broker_answers_when_it_goes_on(own_broker: KafkaBroker) -> None:
    own_broker.freeze()
    threads_before = set(threading.enumerate())
    with socket.create_connection(_address(own_broker.bootstrap_servers), timeout=1.0):
        assert not broker_answers(own_broker.bootstrap_servers)
    assert set(threading.enumerate()) <= threads_before
    own_broker.thaw()
    wait_until(lambda: broker_answers(own_broker.bootstrap_servers), 20, "the thawed broker answers")


def test_a_given_broker_is_used_as_it_is_and_never_stopped(
    kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    broker = launch_broker()
    assert broker.bootstrap_servers == kafka
    assert not broker.can_restart
    with pytest.raises(RuntimeError, match="not ours to start or stop"):
        broker.stop()
    broker.close()
    assert broker_answers(kafka)


def test_a_broker_that_fails_to_start_shows_its_log(own_broker: KafkaBroker) -> None:
    own_broker.stop()
    with (
        socket.create_server(_address(own_broker.bootstrap_servers)),
        pytest.raises(TimeoutError, match=r"(?s)ended instead of answering.*Address already in use"),
    ):
        own_broker.start()


def test_the_settings_of_a_container_are_those_of_a_process() -> None:
    settings = broker_settings(
        port=21000, controller_port=21001, listen_host="10.1.2.3", data_directory="/data"
    )
    environment = settings_as_environment(settings)
    assert environment["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://127.0.0.1:21000"
    assert environment["KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS"] == "0"
    assert environment["KAFKA_CONTROLLER_QUORUM_VOTERS"] == "1@127.0.0.1:21001"
    assert len(environment) == sum(line[:1].isalpha() for line in settings.splitlines())


def test_an_interrupted_fetch_leaves_no_incomplete_jars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = tmp_path / "mvn"
    half.write_text(
        '#!/bin/sh\nfor word; do folder="${word#-DoutputDirectory=}"; done\nmkdir "$folder"\nexit 1\n'
    )
    half.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(ServerUnavailableError, match="could not fetch"):
        kafka_jars()
    assert list((tmp_path / "agegender").iterdir()) == []


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)], ids=["laptop", "ci"]
)
def test_a_missing_server_skips_on_a_laptop_and_fails_in_ci(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises((pytest.skip.Exception, pytest.fail.Exception), match="no such server") as raised:
        skip_or_fail(ServerUnavailableError("no such server here"))
    assert raised.type is outcome


def test_the_store_runs_commands_scripts_and_streams(redis_database: str) -> None:
    with redis.Redis.from_url(redis_database, decode_responses=True) as client:
        assert client.dbsize() == 0
        client.set("name", "value", px=60_000)
        assert client.get("name") == "value"
        assert client.eval("return redis.call('INCRBY', KEYS[1], ARGV[1])", 1, "count", 3) == 3
        entry = client.xadd("stream", {"age": "31"})
        assert client.xrange("stream") == [(entry, {"age": "31"})]


def test_each_test_finds_the_shared_store_empty(redis_database: str) -> None:
    with redis.Redis.from_url(redis_database) as client:
        assert client.dbsize() == 0
        client.set("left", "behind")


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_restarted_store_keeps_its_address_and_data(own_redis: RedisServer, how: str) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.set("name", "kept")
        {"stop": own_redis.stop, "kill": own_redis.kill}[how]()
        with pytest.raises(redis.ConnectionError):
            client.ping()
        own_redis.start()
        assert client.get("name") == b"kept"


def test_a_frozen_store_answers_when_it_goes_on(own_redis: RedisServer) -> None:
    own_redis.freeze()
    with redis.Redis.from_url(own_redis.url, socket_timeout=0.1, retry=None) as client:
        with pytest.raises(redis.TimeoutError):
            client.ping()
        own_redis.thaw()
        wait_until(client.ping, 5, "the thawed store answers")


def test_the_embedded_store_is_private_and_limits_its_memory(
    short_folder: Path,
) -> None:
    with EmbeddedStore(short_folder / "store", maxmemory_bytes=4 * 2**20) as store:
        assert (short_folder / "store").stat().st_mode & 0o077 == 0
        with redis.Redis.from_url(store.url) as client:
            assert client.info("server")["tcp_port"] == 0
            client.set("first", "kept")
            with pytest.raises(redis.OutOfMemoryError):
                _fill(client, keys=16)
            assert client.get("first") == b"kept"
    assert not store.running


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's name, which pytest's own does not everywhere."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _fill(client: redis.Redis, *, keys: int) -> None:
    for key in range(keys):
        client.set(str(key), bytes(2**20))


_CHILD = """
import sys, tempfile
from pathlib import Path
from agegender.shared.store.embedded import EmbeddedStore
from tests.support.availability import ServerUnavailableError
from tests.support.redis_server import RedisServer, find_redis_server

def embedded():
    store = EmbeddedStore(Path(tempfile.mkdtemp()))
    return store.__enter__().url.removeprefix("unix://"), store

def valkey():
    server = RedisServer(find_redis_server("valkey"))
    server.start()
    return server.url.removeprefix("redis://").removesuffix("/0"), server

def broker():
    from tests.support.kafka_broker import launch_broker
    try:
        server = launch_broker(must_restart=True)
    except ServerUnavailableError as error:
        return f"unavailable {error}", None
    return server.bootstrap_servers, server

address, server = {"embedded": embedded, "valkey": valkey, "broker": broker}[sys.argv[1]]()
print(address, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("kind", ["embedded", "valkey", "broker"])
def test_a_server_does_not_outlive_a_process_that_is_killed(kind: str, short_folder: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, kind],
        cwd=_ROOT,
        env={**os.environ, "TMPDIR": str(short_folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        address = child.stdout.readline().strip()
        if address.startswith("unavailable"):
            skip_or_fail(ServerUnavailableError(address))
        assert _listens(address), f"the child did not start its server, it said {address!r}"
        child.kill()
    wait_until(lambda: not _listens(address), 10, f"nothing listens at {address} any more")


def _address(host_and_port: str) -> tuple[str, int]:
    host, _, port = host_and_port.rpartition(":")
    return host, int(port)


def _listens(address: str) -> bool:
    """Whether something takes connections at a `host:port` or a Unix socket's path."""
    family, where = (
        (socket.AF_UNIX, address) if address.startswith("/") else (socket.AF_INET, _address(address))
    )
    with socket.socket(family) as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(where) == 0
