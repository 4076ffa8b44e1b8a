"""Two Redis servers behind one address: one is written, the other follows, and they can change places."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import redis

from tests.support.redis_server import RedisServer
from tests.support.tcp_proxy import TcpProxy
from tests.support.waiting import wait_until

_CHANGE_S = 20.0


class RedisPair:
    """A primary and its replica, and a proxy with a fixed address. Both keep their data.

    As behind a real fixed address, open connections stay with their server after a failover.

    Args:
        program: of both servers.
        settings: of both, see `RedisServer`.
    """

    def __init__(self, program: Path, settings: Mapping[str, str]) -> None:
        servers = [RedisServer(program, keep_data=True, more_settings=settings) for _ in range(2)]
        self._primary, self._replica = servers
        self._proxy = TcpProxy(_port(self._primary))

    @property
    def url(self) -> str:
        """The fixed address."""
        return f"redis://127.0.0.1:{self._proxy.port}/0"

    def __enter__(self) -> RedisPair:
        with contextlib.ExitStack() as undo:
            undo.callback(self._close)
            for server in (self._primary, self._replica):
                server.start()
            with self._client(self._replica) as client:
                client.replicaof("127.0.0.1", _port(self._primary))
            wait_until(self._follows, _CHANGE_S, "the replica follows")
            self._proxy.__enter__()
            undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._proxy.__exit__()
        self._close()

    def _close(self) -> None:
        for server in (self._primary, self._replica):
            server.close()

    def start(self) -> None:
        """Starts the primary again."""
        self._primary.start()

    def kill(self) -> None:
        """Ends the primary at once (SIGKILL)."""
        self._primary.kill()

    def freeze(self) -> None:
        """Halts the primary."""
        self._primary.freeze()

    def thaw(self) -> None:
        """Lets the primary go on."""
        self._primary.thaw()

    def fail_over(self) -> None:
        """The two change places, without the loss of a confirmed write. Returns when they have."""
        wait_until(self._follows, _CHANGE_S, "the replica follows")
        with self._client(self._primary) as client:
            client.execute_command("FAILOVER", "TO", "127.0.0.1", str(_port(self._replica)))
        wait_until(lambda: self._role(self._replica) == "master", _CHANGE_S, "the replica took over")
        self._primary, self._replica = self._replica, self._primary
        self._proxy.target_port = _port(self._primary)

    def fill(self) -> None:
        """From now on the primary has no memory left and refuses every write."""
        self._set_limit(1)

    def make_room(self) -> None:
        """The primary takes writes again."""
        self._set_limit(0)

    def _set_limit(self, limit_bytes: int) -> None:
        with self._client(self._primary) as client:
            client.config_set("maxmemory", limit_bytes)

    def _follows(self) -> bool:
        found = self._info(self._replica)
        return found.get("role") == "slave" and found.get("master_link_status") == "up"

    def _role(self, server: RedisServer) -> object:
        return self._info(server).get("role")

    def _info(self, server: RedisServer) -> Mapping[str, object]:
        with self._client(server) as client:
            try:
                return cast("Mapping[str, object]", client.info("replication"))
            except redis.RedisError:
                return {}

    @staticmethod
    def _client(server: RedisServer) -> redis.Redis:
        return redis.Redis.from_url(server.url, socket_timeout=5.0)


def _port(server: RedisServer) -> int:
    port = urlsplit(server.url).port
    assert port is not None
    return port
