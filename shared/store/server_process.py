"""A server as a child process, which never outlives this process."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

# Reads until the other end of the pipe is closed. The kernel closes it even after SIGKILL of this process.
# Unlike Linux's PR_SET_PDEATHSIG, this works on macOS and from every thread.
_WATCHDOG = 'read -r _; kill -KILL "$1"'


class ServerProcess:
    """A child process in a session of its own. Ctrl-C reaches only this process, which then stops the server.

    Not thread-safe. It can start again after `stop` or `kill`, and appends to the same log.
    """

    def __init__(self, command: Sequence[str | Path], *, log_path: Path) -> None:
        self._command = [str(part) for part in command]
        self._log_path = log_path
        self._server: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the server; raises RuntimeError if it was not started."""
        return self._started().pid

    @property
    def running(self) -> bool:
        """True from `start` until the server ends for any reason."""
        return self._server is not None and self._server.poll() is None

    def start(self) -> None:
        """Start the server; return before it answers.

        Raises OSError if the program cannot be run, RuntimeError if the server already runs.
        """
        if self.running:
            raise RuntimeError(f"{self._command[0]} already runs as process {self.pid}: stop it first")
        self._reap()
        with self._log_path.open("ab") as log:
            self._server = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, "watchdog", str(self._server.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def stop(self, timeout_s: float = 15.0) -> None:
        """End the server with SIGTERM, and with SIGKILL after `timeout_s`. Does nothing if it is down."""
        if self._server is not None and self.running:
            self._server.terminate()
            # A frozen process handles no signal except SIGKILL until it is thawed.
            self._server.send_signal(signal.SIGCONT)
            try:
                self._server.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._server.kill()
        self._reap()

    def kill(self) -> None:
        """End the server at once with SIGKILL. Does nothing if it is down."""
        if self._server is not None:
            self._server.kill()
        self._reap()

    def freeze(self) -> None:
        """Halt the server with SIGSTOP. Its connections stay open, but nothing answers."""
        self._started().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume a frozen server with SIGCONT."""
        self._started().send_signal(signal.SIGCONT)

    def log_tail(self, lines: int = 40) -> str:
        """The last lines of the log, or a note that it has none."""
        if not self._log_path.exists():
            return "(no log)"
        text = self._log_path.read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:]) or "(empty log)"

    def _started(self) -> subprocess.Popen[bytes]:
        if self._server is None:
            raise RuntimeError(f"{self._command[0]} does not run: start it first")
        return self._server

    def _reap(self) -> None:
        """Wait for the server, then end the watchdog. In this order the server is watched to its end."""
        if self._server is not None:
            self._server.wait()
            self._server = None
        if self._watchdog is not None:
            # Kill it before its input closes. Otherwise it would signal a process id that may be reused.
            self._watchdog.kill()
            self._watchdog.communicate()
            self._watchdog = None
