"""The images, made in folders by their own instructions: each begins with only what it installs."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.deploy_tools import DEPLOY, REPOSITORY, run
from tests.support.dockerfile import Built, Dockerfile
from tests.support.ports import free_loopback_port
from tests.support.waiting import wait_until

DOCKERFILE = Dockerfile(DEPLOY / "Dockerfile")
_ANSWERS_WITHIN_S = 60.0


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    return Built(DOCKERFILE, REPOSITORY, tmp_path_factory.mktemp("images"))


class Started:
    """The command of an image, run in its folder with its variables, at a free port of this machine."""

    def __init__(self, built: Built, target: str, settings: dict[str, str], log: Path) -> None:
        self._built, self._target, self.log = built, target, log
        self._port = str(free_loopback_port())
        self._image_port = DOCKERFILE.last_of(target, "EXPOSE").rest
        built.root(target)
        own = {"AGEGENDER_HTTP_HOST": "127.0.0.1", "AGEGENDER_HTTP_PORT": self._port, "API_PORT": self._port}
        self._environment = built.environment(target) | own | settings
        with log.open("w") as output:
            self.process = subprocess.Popen(
                self._command("CMD"),
                cwd=built.folder(target),
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def _command(self, word: str) -> list[str]:
        words = DOCKERFILE.last_of(self._target, word).exec_form
        here = {"0.0.0.0": "127.0.0.1", self._image_port: self._port}  # noqa: S104
        words = [here.get(one, one).replace(f":{self._image_port}/", f":{self._port}/") for one in words]
        return [self._built.moved(self._target, one) for one in words]

    def is_healthy(self) -> bool:
        """Whether the image's own health check says so; fails when the process has ended."""
        assert self.process.poll() is None, self.log.read_text()
        return run(*self._command("HEALTHCHECK"), environment=self._environment).returncode == 0

    def stop(self) -> int:
        """Ends it as an engine does, and returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def started(built: Built, target: str, log: Path, **settings: str) -> Iterator[Started]:
    one = Started(built, target, settings, log)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait()


@pytest.mark.parametrize("target", ["ingest", "detect", "classify", "sink"])
def test_a_service_starts_from_its_image_and_waits_for_kafka(
    built: Built, target: str, tmp_path: Path
) -> None:
    nobody = f"127.0.0.1:{free_loopback_port()}"

    with started(built, target, tmp_path / "log", KAFKA_BOOTSTRAP_SERVERS=nobody) as service:
        wait_until(service.is_healthy, _ANSWERS_WITHIN_S, f"{target} is healthy")
        wait_until(
            lambda: f"no answer from {nobody}" in service.log.read_text(),
            _ANSWERS_WITHIN_S,
            f"{target} says what it waits for",
        )
        assert service.stop() == 0


def test_the_api_starts_from_its_image(built: Built, tmp_path: Path) -> None:
    with started(built, "api", tmp_path / "log") as service:
        wait_until(service.is_healthy, _ANSWERS_WITHIN_S, "the API is healthy")
        assert service.stop() == 0


def test_the_camera_plays_from_its_image_without_fetching_anything(built: Built, tmp_path: Path) -> None:
    with started(built, "camera", tmp_path / "log") as camera:
        wait_until(camera.is_healthy, _ANSWERS_WITHIN_S, "the camera is healthy")
        assert str(built.root("camera") / "scene") in camera.log.read_text()
        assert camera.stop() == 0


def test_a_health_check_fails_where_nobody_answers(built: Built, tmp_path: Path) -> None:
    with started(built, "sink", tmp_path / "log") as service:
        wait_until(service.is_healthy, _ANSWERS_WITHIN_S, "the sink is healthy")
        service.process.send_signal(signal.SIGKILL)
        service.process.wait()
        command = service._command("HEALTHCHECK")
    assert run(*command, environment=built.environment("sink")).returncode == 1


def test_the_command_runs_from_its_image(built: Built) -> None:
    built.root("command")
    entry = [built.moved("command", one) for one in DOCKERFILE.last_of("command", "ENTRYPOINT").exec_form]

    done = run(
        *entry,
        *("cameras", "validate", DEPLOY / "demo-cameras.yaml"),
        folder=built.folder("command"),
        environment=built.environment("command"),
    )

    assert done.returncode == 0, done.stdout
    assert "1 cameras, nothing is wrong" in done.stdout
