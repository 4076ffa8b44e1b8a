"""Redis fails over, runs the script of another client, or is a cluster: real servers."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping

import pytest
import redis

from agegender.shared.errors import NotNow, SettingsError
from agegender.shared.process.settings import RedisSettings
from agegender.shared.store import ResultStore, connect, redis_errors_sorted, refuse_cluster
from tests.support.api import running_api
from tests.support.bad_servers import speaks_http, tcp_server
from tests.support.made_messages import vote
from tests.support.ports import free_loopback_port
from tests.support.redis_server import SERVER_KINDS, RedisServer, find_redis_server, running_redis
from tests.support.sink import opened_sink
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import wait_until


@contextlib.contextmanager
def running(kind: str, settings: Mapping[str, str] | None = None) -> Iterator[RedisServer]:
    yield from running_redis(lambda: RedisServer(find_redis_server(kind), more_settings=settings))


class Pair:
    """A primary and its replica behind a fixed address."""

    def __init__(self, primary: RedisServer, replica: RedisServer, proxy: TcpProxy) -> None:
        self._primary, self._replica, self._proxy = primary, replica, proxy
        self.url = f"redis://127.0.0.1:{proxy.port}/0"
        self._follow(replica, primary)

    def _follow(self, follower: RedisServer, leader: RedisServer) -> None:
        with redis.Redis.from_url(follower.url) as client:
            client.replicaof("127.0.0.1", leader.port)
            wait_until(
                lambda: client.info("replication").get("master_link_status") == "up",
                20,
                "the replica follows",
            )

    def fail_over(self) -> None:
        """The replica becomes the primary and the reverse; new connections lead to the new primary.

        As in a planned failover, the replica first has all that was written.
        """
        with redis.Redis.from_url(self._primary.url) as client:
            wait_until(lambda: _is_copied(client), 20, "the replica has all that was written")
        with redis.Redis.from_url(self._replica.url) as client:
            client.replicaof("NO", "ONE")
        self._proxy.target_port = self._replica.port
        self._follow(self._primary, self._replica)


def _is_copied(primary: redis.Redis) -> bool:
    replication = primary.info("replication")
    return bool(replication["slave0"]["offset"] == replication["master_repl_offset"])


@pytest.fixture(params=SERVER_KINDS)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with (
        running(request.param) as primary,
        running(request.param) as replica,
        TcpProxy(primary.port) as proxy,
    ):
        yield Pair(primary, replica, proxy)


def test_after_a_failover_the_sink_writes_to_the_new_primary(pair: Pair) -> None:
    with opened_sink(pair.url) as sink:
        sink.output.write([vote(number=1)])
        pair.fail_over()
        with pytest.raises(NotNow, match="read only"):
            sink.output.write([vote(number=2)])
        sink.output.write([vote(number=2)])
        assert len(ResultStore(sink.client).results("cam1", 10)) == 2


def test_a_reader_that_waits_at_a_failover_goes_on(pair: Pair) -> None:
    """The server ends its wait with an error as it becomes a replica."""
    with opened_sink(pair.url) as sink:
        sink.output.write([vote()])
        client = connect(RedisSettings().at(pair.url))
        store, reasons = ResultStore(client), []
        _, cursor = store.closed(None)

        def wait() -> None:
            try:
                store.closed(cursor, wait_s=60.0)
            except NotNow as error:
                reasons.append(str(error))

        thread = threading.Thread(target=wait)
        thread.start()
        wait_until(lambda: sink.client.info("clients")["blocked_clients"], 10, "the reader waits")
        pair.fail_over()
        thread.join(timeout=20)
        assert reasons == [reasons[0]]
        assert "UNBLOCKED" in reasons[0]
        assert client.role()[0] == b"master"
        client.close()


def test_the_api_lives_through_a_failover(pair: Pair) -> None:
    with opened_sink(pair.url) as sink, running_api(pair.url) as api:
        sink.output.write([vote()])
        wait_until(lambda: api.get("/v1/cameras").json["cameras"], 10, "the API shows the camera")
        wait_until(lambda: sink.client.info("clients")["blocked_clients"], 10, "it waits for visits")
        pair.fail_over()
        wait_until(lambda: api.get("/ready").status == 200, 10, "the API is ready again")
        assert [one["camera_id"] for one in api.get("/v1/cameras").json["cameras"]] == ["cam1"]
        with api.events() as events:
            # The first state is remembered, the next ones come from a watcher that still lives. The failover
            # itself may be told as a problem.
            states = (event for event in events if event.kind == "state")
            assert len(list(itertools.islice(states, 3))) == 3


def test_the_script_of_another_client_is_waited_for(own_redis: RedisServer) -> None:
    with (
        opened_sink(own_redis.url) as sink,
        redis.Redis.from_url(own_redis.url) as other,
        redis.Redis.from_url(own_redis.url) as admin,
    ):
        admin.config_set("lua-time-limit", 1)

        def run_for_ever() -> None:
            with contextlib.suppress(redis.RedisError):
                other.eval("while true do end", 0)

        thread = threading.Thread(target=run_for_ever)
        thread.start()
        try:
            wait_until(lambda: _is_busy(admin), 10, "the script runs")
            with pytest.raises(NotNow, match="BUSY"):
                sink.output.write([vote()])
            with pytest.raises(NotNow, match="BUSY"):
                sink.store.cameras()
        finally:
            admin.script_kill()
            thread.join()
        sink.output.write([vote()])


def _is_busy(client: redis.Redis) -> bool:
    try:
        client.ping()
    except redis.ResponseError as error:
        return str(error).startswith("BUSY")
    return False


def test_a_camera_named_like_an_answer_hides_no_bug(redis_database: str) -> None:
    """The text of an error in a pipeline repeats the command, with the names of its keys."""
    with redis.Redis.from_url(redis_database) as client:
        client.set("a BUSY one", "text")
        with pytest.raises(redis.ResponseError, match="WRONGTYPE"), redis_errors_sorted(client):
            client.pipeline(transaction=False).zcard("a BUSY one").execute()


def test_a_database_that_the_server_lacks_is_told(redis_database: str) -> None:
    with (
        connect(RedisSettings().at(redis_database.replace("/0", "/99"))) as client,
        pytest.raises(SettingsError, match="no database of this number"),
    ):
        ResultStore(client).cameras()


def test_a_server_of_another_protocol_is_told_and_awaited() -> None:
    """A proxy without a server behind it may answer so."""
    with (
        tcp_server(speaks_http) as port,
        connect(RedisSettings().at(f"redis://127.0.0.1:{port}")) as client,
        pytest.raises(NotNow, match="does not speak the protocol of Redis"),
        redis_errors_sorted(client),
    ):
        client.ping()


@pytest.fixture(scope="module", params=SERVER_KINDS)
def cluster_node(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """One of two nodes, each with half of the slots."""
    node_settings, other_settings = (
        {"cluster-enabled": "yes", "cluster-port": str(free_loopback_port())} for _ in range(2)
    )
    with running(request.param, node_settings) as node, running(request.param, other_settings) as other:
        with redis.Redis.from_url(node.url) as one, redis.Redis.from_url(other.url) as two:
            one.execute_command("CLUSTER ADDSLOTSRANGE", 0, 8191)
            two.execute_command("CLUSTER ADDSLOTSRANGE", 8192, 16383)
            one.execute_command("CLUSTER MEET", "127.0.0.1", other.port, other_settings["cluster-port"])
            wait_until(lambda: one.execute_command("CLUSTER INFO")["cluster_state"] == "ok", 30, "they meet")
        yield node


def test_a_client_refuses_a_cluster_at_the_start(cluster_node: RedisServer) -> None:
    with redis.Redis.from_url(cluster_node.url) as client:
        with pytest.raises(SettingsError, match="expected a plain Redis server"):
            refuse_cluster(client)
        with pytest.raises(SettingsError, match="REDIS_URL"):
            ResultStore(client).cameras()
    with (
        connect(RedisSettings().at(cluster_node.url.replace("/0", "/1"))) as client,
        pytest.raises(SettingsError, match=r"Redis Cluster|no database of this number"),
    ):
        ResultStore(client).cameras()


def test_a_command_for_another_node_is_refused(cluster_node: RedisServer) -> None:
    with redis.Redis.from_url(cluster_node.url) as client:
        for command in (
            lambda: [client.get(f"key{number}") for number in range(50)],
            lambda: client.mget("key1", "key2"),
        ):
            with pytest.raises(SettingsError, match="Redis Cluster"), redis_errors_sorted(client):
                command()


@pytest.mark.parametrize(
    "words",
    [("agegender", "query", "cameras"), ("agegender.services.sink",), ("agegender.services.api",)],
    ids=["query", "sink", "api"],
)
def test_before_a_cluster_processes_end_in_one_sentence(
    cluster_node: RedisServer, kafka: str, random_suffix: str, words: tuple[str, ...]
) -> None:
    settings = {
        "REDIS_URL": cluster_node.url,
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "KAFKA_TOPIC_PREFIX": f"{random_suffix}-",
        "AGEGENDER_HTTP_PORT": "0",
        "API_PORT": "0",
    }
    ended = subprocess.run(
        [sys.executable, "-m", *words],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    said = ended.stdout + ended.stderr
    assert said.count("expected a plain Redis server") == 1
    assert "Traceback" not in said
    assert "exception" not in said
