"""How `docker compose up` changes the cameras in Kafka."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.commands.cameras.table import open_table
from tests.deploy.test_composed_system import task
from tests.support.compose import services
from tests.support.dockerfile import Built
from tests.support.images import run_task
from tests.support.kafka_broker import KafkaBroker
from tests.support.waiting import wait_until

Up = Callable[[Path | None], None]
_LIST = "/run/cameras.yaml"
_WITHIN_S = 60.0


@pytest.fixture
def up(built: Built, composed_broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch) -> Up:
    """Runs the camera tasks of `docker compose up`, with CAMERAS_FILE or without."""
    kafka = {"KAFKA_BOOTSTRAP_SERVERS": composed_broker.bootstrap_servers, "KAFKA_TOPIC_PREFIX": "cameras-"}
    for name, value in kafka.items():
        monkeypatch.setenv(name, value)

    def run_them(own: Path | None, names: Sequence[str] = ("cameras", "demo-cameras")) -> None:
        composed = services() if own is None else services(CAMERAS_FILE=str(own))
        for name in names:
            service = composed[name]
            volumes = {one["target"]: one["source"] for one in service["volumes"]}
            words = [word.replace(_LIST, volumes.get(_LIST, _LIST)) for word in task(built, service)]
            done = partial(run_task, built, "command", words, {**service["environment"], **kafka})
            # `restart: on-failure`
            wait_until(lambda: done() is not None, _WITHIN_S, f"{name} is done")  # noqa: B023

    run_them(None, ["topics"])
    return run_them


def cameras() -> list[str]:
    with open_table() as table:
        return sorted(table.cameras)


def cameras_file(path: Path, *ids: str) -> Path:
    lines = [f"  - {{id: {one}, source: 'rtsp://192.0.2.1/{one}'}}\n" for one in ids]
    path.write_text("cameras:\n" + "".join(lines))
    return path


@pytest.mark.timeout(400)
def test_up_without_a_list_of_cameras_changes_no_camera(up: Up, tmp_path: Path) -> None:
    up(None)
    assert cameras() == ["demo"]
    up(cameras_file(tmp_path / "own.yaml", "entrance", "hall"))
    assert cameras() == ["entrance", "hall"]

    up(None)

    assert cameras() == ["entrance", "hall"]
