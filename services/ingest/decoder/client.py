"""The worker's side of its decoder processes: starts and ends them."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from agegender.services.ingest.decoder.host import NUMBER, START
from agegender.services.ingest.decoder.protocol import Order, send
from agegender.services.ingest.sources.stream import CameraError, FailureReason

log = logging.getLogger(__name__)

_LOAD_S = 60.0  # for loading FFmpeg on a busy machine
_ANSWER_S = 10.0
_END_S = 2.0
_SEND_BYTES = 4 << 20  # a whole picture at once, if the system allows it
# All that Python and the loader of libraries need. No password: a decoder reads data from strangers.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class HostGone(Exception):
    """The host process has ended or does not answer."""


class _HostClient:
    """A running host process. Its decoders are in its process group and end with it."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._ending = threading.Lock()
        self._connection, theirs = socket.socketpair()
        self._connection.settimeout(_LOAD_S)
        self.is_gone = False
        self._decoders: set[int] = set()
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        # numpy would start threads, and a process with threads must not fork.
        environment |= {"OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(_import_path())}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "agegender.services.ingest.decoder.host"],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                env=environment,
                process_group=0,
            )

    def start(self, connection: socket.socket) -> int:
        """Starts a decoder at the other end of `connection`. Returns its process id, or an errno below 0."""
        pid = self._ask(START, connection.fileno())
        if pid > 0:
            self._decoders.add(pid)
        return pid

    def end(self, pid: int) -> int:
        """Kills a decoder unless it has ended, and returns its exit status. Call it once for each decoder."""
        # Before the kill: afterwards the id may belong to another process.
        self._decoders.discard(pid)
        return self._ask(pid)

    def processes(self) -> Sequence[int]:
        """The process ids of the host and its decoders. Does not wait for pending requests."""
        return (self._process.pid, *self._decoders.copy())

    def _ask(self, number: int, *connections: int) -> int:
        with self._asking:
            if self.is_gone:
                raise HostGone
            try:
                socket.send_fds(self._connection, [NUMBER.pack(number)], connections)
                answer = self._connection.recv(NUMBER.size)
                self._connection.settimeout(_ANSWER_S)
            except OSError:
                answer = b""
            if len(answer) < NUMBER.size:
                self.close()
                raise HostGone
            return int(NUMBER.unpack(answer)[0])

    def close(self) -> None:
        """Ends all decoders and the host. Pending requests fail at once."""
        with self._ending:
            if self.is_gone:
                return
            self.is_gone = True
            # Until `wait` returns, no other process can have its id, nor that of its group.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)
            self._connection.close()


def _import_path() -> list[str]:
    return [str(Path(entry).absolute()) for entry in sys.path]


class DecoderProcess:
    """One decoder process that has its order."""

    def __init__(self, host: _HostClient, pid: int, connection: socket.socket) -> None:
        self._host = host
        self.pid = pid
        self.connection = connection
        """Receives its messages. Closing it for sending asks the decoder to end."""

    def end(self) -> int:
        """Ends the process at once. Call it once.

        Returns:
            The signal that ended it; 0 if it ended by itself.
        """
        self.connection.close()
        try:
            status = self._host.end(self.pid)
        except HostGone:
            return signal.SIGKILL
        return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


class DecoderPool:
    """Starts decoder processes. For many threads. The next start replaces a host that has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._host: _HostClient | None = None
        self._is_closed = False

    def start(self, order: Order) -> DecoderProcess:
        """Starts a new process that carries out `order`.

        Raises:
            CameraError: no process can be started.
        """
        with contextlib.ExitStack() as undo:
            try:
                ours, theirs = socket.socketpair()
                undo.callback(ours.close)
                theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
                with theirs:
                    host = self._running_host()
                    pid = host.start(theirs)
                if pid < 0:
                    raise OSError(-pid, os.strerror(-pid))
                decoder = DecoderProcess(host, pid, ours)
                undo.callback(decoder.end)
                # Sent over the connection, because any user may read the arguments of a process.
                send(ours, order)
            except HostGone:
                raise CameraError(FailureReason.CRASHED, "the decoder processes have ended") from None
            except OSError as error:
                raise CameraError(
                    FailureReason.CRASHED, f"no decoder process can be started: {error.strerror}"
                ) from None
            undo.pop_all()
            return decoder

    def _running_host(self) -> _HostClient:
        with self._lock:
            if self._is_closed:
                raise HostGone
            if self._host is None or self._host.is_gone:
                if self._host is not None:
                    log.error("the host of the decoders has ended: starting another")
                self._host = _HostClient()
            return self._host

    def processes(self) -> Sequence[int]:
        """All process ids, that of the host first. Empty while there is no host."""
        host = self._host
        return () if host is None or host.is_gone else host.processes()

    def close(self) -> None:
        """Ends all decoders. No more can be started."""
        with self._lock:
            self._is_closed = True
            if self._host is not None:
                self._host.close()
