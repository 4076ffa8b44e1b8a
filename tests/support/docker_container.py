"""One container of a running Docker engine, with the same handles as a child process."""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Mapping

_WATCHDOG = 'read -r _; docker rm --force --volumes "$1"'
_COMMAND_TIMEOUT_S = 120
_PULL_TIMEOUT_S = 600


def docker_engine_answers() -> bool:
    """Return whether there is a Docker client here and an engine behind it."""
    if shutil.which("docker") is None:
        return False
    try:
        return (
            subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=15).returncode == 0
        )
    except subprocess.TimeoutExpired:
        return False


class DockerContainer:
    """A container with data that lasts from `start` to `remove`, over `stop` and `kill`.

    Every method raises RuntimeError with Docker's own words when Docker refuses. The container is removed
    when this process dies without having done so.
    """

    def __init__(self, image: str, *, port: int, environment: Mapping[str, str]) -> None:
        self._image = image
        self._port = port
        self._environment = environment
        self._name = f"agegender-test-{uuid.uuid4().hex[:12]}"
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the container was created and has not ended."""
        if self._watchdog is None:
            return False
        return _docker("container", "inspect", "--format", "{{.State.Running}}", self._name).strip() == "true"

    def start(self) -> None:
        """Create the container, or start it again, without waiting for what is inside to answer."""
        if self._watchdog is not None:
            _docker("start", self._name)
            return
        _docker("pull", "--quiet", self._image, timeout_s=_PULL_TIMEOUT_S)
        variables = [
            word for name, value in self._environment.items() for word in ("--env", f"{name}={value}")
        ]
        published = f"127.0.0.1:{self._port}:{self._port}"
        self._watchdog = subprocess.Popen(
            ["/bin/sh", "-c", _WATCHDOG, "watchdog", self._name],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        _docker("run", "--detach", "--name", self._name, "--publish", published, *variables, self._image)

    def stop(self) -> None:
        """End what runs inside in an orderly way (SIGTERM)."""
        _docker("stop", "-t", "15", self._name)

    def kill(self) -> None:
        """End what runs inside at once (SIGKILL)."""
        _docker("kill", self._name)

    def freeze(self) -> None:
        """Halt what runs inside: its connections stay open and nothing answers."""
        _docker("pause", self._name)

    def thaw(self) -> None:
        """Let what is frozen go on."""
        _docker("unpause", self._name)

    def log_tail(self, lines: int = 40) -> str:
        """Return the last `lines` lines of the container's output."""
        return _docker("logs", "--tail", str(lines), self._name)

    def remove(self) -> None:
        """Remove the container and its data; no-op when it was never created."""
        if self._watchdog is not None:
            # The end of its input is what the watchdog removes the container on.
            self._watchdog.communicate()
            self._watchdog = None


def _docker(*arguments: str, timeout_s: float = _COMMAND_TIMEOUT_S) -> str:
    done = subprocess.run(
        ["docker", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=timeout_s,
    )
    if done.returncode != 0:
        raise RuntimeError(f"docker {arguments[0]} failed: {done.stdout.strip()}")
    return done.stdout
