"""A primary, its replica and a real sentinel that fails over when the primary dies."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import redis

from agegender.shared.store.server_process import ServerProcess
from tests.support.availability import ServerUnavailableError, skip_or_fail
from tests.support.certificates import Authority
from tests.support.ports import free_loopback_port
from tests.support.redis_server import RedisServer, find_redis_server
from tests.support.waiting import wait_until

_DOWN_AFTER_MS = 500


class Watched:
    """Two servers with one password, and a sentinel with another.

    Args:
        kind: one of `SERVER_KINDS`.
        authority: where given, servers and sentinel take TLS alone.

    Attributes:
        url: for REDIS_URL, without logins. A sentinel that is down stands before the one that runs.
    """

    NAME = "ours"
    PASSWORD = "pä55 w/rd"
    SENTINELS_PASSWORD = "an0ther w@rd"

    def __init__(self, kind: str, authority: Authority | None = None) -> None:
        program = find_redis_server(kind)
        self._folder = Path(tempfile.mkdtemp(prefix="agegender-sentinel-"))
        self._authority = authority
        settings = {
            "requirepass": self.PASSWORD,
            "masterauth": self.PASSWORD,
        }
        more = {**settings, **({} if authority is None else {"tls-replication": "yes"})}
        self._servers = [RedisServer(program, more_settings=more, authority=authority) for _ in range(2)]
        self._port = free_loopback_port()
        file = self._folder / "sentinel.conf"
        self._process = ServerProcess([program, file, "--sentinel"], log_path=self._folder / "log")
        file.write_text("".join(f"{name} {value}\n" for name, value in self._lines()))
        scheme = "redis" if authority is None else "rediss"
        addresses = f"127.0.0.1:{free_loopback_port()},127.0.0.1:{self._port}"
        self.url = f"{scheme}+sentinel://{addresses}/{self.NAME}"

    def _lines(self) -> Iterator[tuple[str, object]]:
        yield "bind", "127.0.0.1"
        yield "dir", self._folder
        yield "requirepass", f'"{self.SENTINELS_PASSWORD}"'
        yield "sentinel", f"monitor {self.NAME} 127.0.0.1 {self._servers[0].port} 1"
        yield "sentinel", f'auth-pass {self.NAME} "{self.PASSWORD}"'
        yield "sentinel", f"down-after-milliseconds {self.NAME} {_DOWN_AFTER_MS}"
        yield "sentinel", f"failover-timeout {self.NAME} 3000"
        if self._authority is None:
            yield "port", self._port
            return
        certificate = self._authority.issue("sentinel", "IP:127.0.0.1")
        yield "port", 0
        yield "tls-port", self._port
        yield "tls-cert-file", certificate.certificate
        yield "tls-key-file", certificate.key
        yield "tls-ca-cert-file", self._authority.certificate
        yield "tls-replication", "yes"

    def __enter__(self) -> Watched:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        first, second = self._servers
        first.start()
        second.start()
        with self._client(second) as client:
            client.replicaof("127.0.0.1", first.port)
            wait_until(lambda: client.info("replication")["master_link_status"] == "up", 20, "it follows")
        self._process.start()
        wait_until(lambda: self._replicas() == 1, 20, "the sentinel knows the replica")

    def __exit__(self, *_: object) -> None:
        self._process.stop()
        for one in self._servers:
            one.close()
        shutil.rmtree(self._folder)

    def kill_primary(self) -> None:
        """Ends the primary at once; the sentinel makes the replica the primary within seconds."""
        self._servers[0].kill()

    def freeze_sentinel(self) -> None:
        """Halts the sentinel: it answers nothing."""
        self._process.freeze()

    def thaw_sentinel(self) -> None:
        """Lets the sentinel go on."""
        self._process.thaw()

    def _client(self, server: RedisServer) -> redis.Redis:
        return redis.Redis.from_url(server.url, password=self.PASSWORD, **self.tls)

    @property
    def tls(self) -> Mapping[str, Any]:
        """What a client needs for TLS."""
        return self._servers[0].tls

    def _replicas(self) -> int:
        with contextlib.suppress(redis.RedisError):
            sentinel = redis.Redis(
                host="127.0.0.1",
                port=self._port,
                password=self.SENTINELS_PASSWORD,
                ssl=self._authority is not None,
                **self.tls,
            )
            with sentinel:
                found: Any = sentinel.sentinel_masters()
                return int(found[self.NAME]["num-slaves"])
        return 0


@contextlib.contextmanager
def watched(kind: str, authority: Authority | None = None) -> Iterator[Watched]:
    """For a fixture: the servers, running. Without their program, see `skip_or_fail`."""
    try:
        servers = Watched(kind, authority)
    except ServerUnavailableError as error:
        skip_or_fail(error)
    with servers:
        yield servers
