"""The decoder processes of a worker, as the worker sees them."""

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

_LOAD_S = 60.0  # what loading FFmpeg may take on a machine that has much else to do
_ANSWER_S = 10.0
_END_S = 2.0
_SEND_BYTES = 4 << 20  # a whole picture at once, where the system allows it
# What Python and the loader of libraries need, and no password: a decoder reads what strangers send.
_PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class HostGone(Exception):
    """The process that decoders are forked from has ended, or does not answer."""


class _HostClient:
    """A running `decoder_host`. Its decoders are in its process group, and end with it."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._ending = threading.Lock()
        self._connection, theirs = socket.socketpair()
        self._connection.settimeout(_LOAD_S)
        self.is_gone = False
        self._decoders: set[int] = set()
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        # numpy would start threads, and who has threads must not fork.
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
        """Starts a decoder at the other end of `connection`; its process id, or an errno below 0."""
        pid = self._ask(START, connection.fileno())
        if pid > 0:
            self._decoders.add(pid)
        return pid

    def end(self, pid: int) -> int:
        """Kills a decoder, unless it has ended by itself; its exit status. Once for each one started."""
        # Not after it, as then the id may be another process's.
        self._decoders.discard(pid)
        return self._ask(pid)

    def processes(self) -> Sequence[int]:
        """Its own id, and those of its decoders. Does not wait for one who asks."""
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
        """Ends all decoders and the host. Does not wait for one who asks: he gets no answer."""
        with self._ending:
            if self.is_gone:
                return
            self.is_gone = True
            # Until we have waited for it, its id, and so that of the group, cannot be another's.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END_S)
            self._connection.close()


def _import_path() -> list[str]:
    return [str(Path(entry).absolute()) for entry in sys.path]


class DecoderProcess:
    """One decoder process, which has been told what to read."""

    def __init__(self, host: _HostClient, pid: int, connection: socket.socket) -> None:
        self._host = host
        self.pid = pid
        self.connection = connection
        """Gives its messages; closing it for sending asks the decoder to end."""

    def end(self) -> int:
        """Ends the process, whatever it does at the moment. To be called once.

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
    """Starts decoders. May be used by many threads; a host that is gone is replaced by the next start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._host: _HostClient | None = None
        self._is_closed = False

    def start(self, order: Order) -> DecoderProcess:
        """A new process that carries out `order`.

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
                # Over the connection, as everybody may read the arguments of a process.
                send(ours, order)
            except HostGone:
                raise CameraError(FailureReason.CRASHED, "the processes that decode have ended") from None
            except OSError as error:
                raise CameraError(
                    FailureReason.CRASHED, f"no process can be started to decode it: {error.strerror}"
                ) from None
            undo.pop_all()
            return decoder

    def _running_host(self) -> _HostClient:
        with self._lock:
            if self._is_closed:
                raise HostGone
            if self._host is None or self._host.is_gone:
                if self._host is not None:
                    log.error("decoders are started anew, as the process they come from has ended")
                self._host = _HostClient()
            return self._host

    def processes(self) -> Sequence[int]:
        """All ids, first that of the process that decoders are forked from. Empty while there is none."""
        host = self._host
        return () if host is None or host.is_gone else host.processes()

    def close(self) -> None:
        """Ends all decoders; none can be started any more."""
        with self._lock:
            self._is_closed = True
            if self._host is not None:
                self._host.close()
