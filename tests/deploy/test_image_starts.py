"""The images, made in folders by their own instructions: each begins with only what it installs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.deploy_tools import DEPLOY, run
from tests.support.dockerfile import Built
from tests.support.images import running
from tests.support.ports import free_loopback_port
from tests.support.waiting import wait_until

_WITHIN_S = 60.0


@pytest.mark.parametrize("target", ["ingest", "detect", "classify", "sink"])
def test_a_service_starts_from_its_image_and_waits_for_kafka(
    built: Built, target: str, tmp_path: Path
) -> None:
    nobody = f"127.0.0.1:{free_loopback_port()}"

    with running(built, target, tmp_path / "log", KAFKA_BOOTSTRAP_SERVERS=nobody) as service:
        wait_until(service.becomes_healthy, _WITHIN_S, f"{target} is healthy")
        wait_until(
            lambda: f"no answer from {nobody}" in service.log, _WITHIN_S, f"{target} says what it misses"
        )
        assert service.stop() == 0
        assert not service.is_healthy()


def test_the_api_starts_from_its_image(built: Built, tmp_path: Path) -> None:
    with running(built, "api", tmp_path / "log") as service:
        wait_until(service.becomes_healthy, _WITHIN_S, "the API is healthy")
        assert service.stop() == 0


def test_the_camera_plays_from_its_image_without_fetching_anything(built: Built, tmp_path: Path) -> None:
    with running(built, "camera", tmp_path / "log") as camera:
        wait_until(camera.becomes_healthy, _WITHIN_S, "the camera is healthy")
        assert str(built.root("camera") / "scene") in camera.log
        assert camera.stop() == 0


def test_the_command_runs_from_its_image(built: Built) -> None:
    built.root("command")
    entry = [
        built.moved("command", one) for one in built.dockerfile.last_of("command", "ENTRYPOINT").exec_form
    ]

    done = run(
        *entry,
        *("cameras", "validate", DEPLOY / "demo-cameras.yaml"),
        folder=built.folder("command"),
        environment=built.environment("command"),
    )

    assert done.returncode == 0, done.stdout
    assert "1 cameras, nothing is wrong" in done.stdout
