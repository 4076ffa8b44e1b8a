"""Starts the program of an image from the folder that it was built into."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.deploy_tools import run
from tests.support.dockerfile import Built
from tests.support.ports import free_loopback_port

_STOPS_WITHIN_S = 30
_LOOK_EVERY_S = 0.5
_ANYWHERE, _HERE = "0.0.0.0", "127.0.0.1"  # noqa: S104


class Running:
    """The program of an image, in its folder and with its variables, at a free port of the loopback address.

    Args:
        settings: variables besides those of the image, which they overrule.
        health_check: what an engine would run to see how it is; None: the check of the image.
    """

    def __init__(
        self,
        built: Built,
        target: str,
        settings: Mapping[str, str],
        log_path: Path,
        *,
        health_check: Sequence[str] | None = None,
    ) -> None:
        self._built, self._target, self._log_path = built, target, log_path
        self.port = free_loopback_port()
        root = built.root(target)
        dockerfile = built.dockerfile
        self._image_port = dockerfile.last_of(target, "EXPOSE").rest
        variables = {**built.environment(target), "HOME": str(root), **settings}
        self._environment = {key: self._moved(value) for key, value in variables.items()}
        # The API's own port, if no setting gives another.
        self._environment.setdefault("API_PORT", str(self.port))
        self._health_check = health_check or dockerfile.last_of(target, "HEALTHCHECK").exec_form
        self._look_again_at_s = 0.0
        with log_path.open("w") as log:
            self.process = subprocess.Popen(
                self._moved_words(dockerfile.last_of(target, "CMD").exec_form),
                cwd=built.folder(target),
                env=self._environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _moved(self, word: str) -> str:
        here = {_ANYWHERE: _HERE, self._image_port: str(self.port)}
        return here.get(word, word).replace(f":{self._image_port}/", f":{self.port}/")

    def _moved_words(self, words: Sequence[str]) -> list[str]:
        return [self._moved(self._built.moved(self._target, word)) for word in words]

    @property
    def log(self) -> str:
        """All of its output."""
        return self._log_path.read_text()

    def is_healthy(self) -> bool:
        """Whether its health check succeeds; also answers when the process has ended."""
        return run(*self._moved_words(self._health_check), environment=self._environment).returncode == 0

    def becomes_healthy(self) -> bool:
        """As `is_healthy`, for repeated calls: it checks every half second, because a check starts a process.

        Fails when what is waited for has ended.
        """
        assert self.process.poll() is None, f"{self._target} ended:\n{self.log}"
        if time.monotonic() < self._look_again_at_s:
            return False
        self._look_again_at_s = time.monotonic() + _LOOK_EVERY_S
        return self.is_healthy()

    def stop(self) -> int:
        """Stops it as an engine does, and returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_STOPS_WITHIN_S)

    def kill(self) -> None:
        """Kills it."""
        self.process.kill()
        self.process.wait()


def run_task(built: Built, target: str, words: Sequence[str], settings: Mapping[str, str]) -> str | None:
    """The output of an image that runs a task and ends with 0; None for another status.

    Args:
        words: the program and what it is told.
    """
    root = built.root(target)
    done = run(
        *(built.moved(target, word) for word in words),
        folder=built.folder(target),
        environment={**built.environment(target), "HOME": str(root), **settings},
    )
    return done.stdout if done.returncode == 0 else None
