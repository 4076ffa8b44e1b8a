"""A server that runs as our child: started, stopped, and never left behind when we die."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

# Reads until the far end of its input is gone, which the kernel sees to even when we are killed with SIGKILL.
# Unlike Linux's PR_SET_PDEATHSIG this works on macOS, and whichever thread started the server.
_WATCHDOG = 'read -r _; kill -KILL "$1"'


class ServerProcess:
    """A child process in a session of its own, so that Ctrl-C reaches us only and we decide when it stops.

    Not thread-safe. A process may be started again after `stop` or `kill`; its log goes on in the same file.
    """

    def __init__(self, command: Sequence[str | Path], *, log_path: Path) -> None:
        self._command = [str(part) for part in command]
        self._log_path = log_path
        self._server: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Process id of the running server; raises RuntimeError when it was not started."""
        return self._started().pid

    @property
    def running(self) -> bool:
        """True from `start` until the server ends, by itself or by us."""
        return self._server is not None and self._server.poll() is None

    def start(self) -> None:
        """Start the server without waiting for it to answer.

        Raises OSError when the program cannot be run, RuntimeError when it already runs.
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
        """Ask the server to end (SIGTERM), kill it when it has not done so in time; no-op when it is down."""
        if self._server is not None and self.running:
            self._server.terminate()
            # A frozen process takes no signal but SIGKILL until it is thawed.
            self._server.send_signal(signal.SIGCONT)
            try:
                self._server.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._server.kill()
        self._reap()

    def kill(self) -> None:
        """End the server without a chance to tidy up (SIGKILL); no-op when it is down."""
        if self._server is not None:
            self._server.kill()
        self._reap()

    def freeze(self) -> None:
        """Halt the server (SIGSTOP): its connections stay open and nothing answers."""
        self._started().send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen server go on (SIGCONT)."""
        self._started().send_signal(signal.SIGCONT)

    def log_tail(self, lines: int = 40) -> str:
        """Return the last `lines` lines that the server wrote, or a note that there are none."""
        if not self._log_path.exists():
            return "(no log)"
        text = self._log_path.read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:]) or "(empty log)"

    def _started(self) -> subprocess.Popen[bytes]:
        if self._server is None:
            raise RuntimeError(f"{self._command[0]} does not run: start it first")
        return self._server

    def _reap(self) -> None:
        """Wait for the server, then dismiss the watchdog: in this order no process is ever unwatched."""
        if self._server is not None:
            self._server.wait()
            self._server = None
        if self._watchdog is not None:
            # Killed before its input closes, or it would signal a process id that may be another's by now.
            self._watchdog.kill()
            self._watchdog.communicate()
            self._watchdog = None
