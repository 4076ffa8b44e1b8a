"""The services of docker-compose.yml, built from the Dockerfile into folders: from the camera to the API.

Each has only the packages that its image installs.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.support.compose import Service, services
from tests.support.deploy_tools import DEPLOY
from tests.support.dockerfile import Built
from tests.support.images import Running, run_task
from tests.support.kafka_broker import KafkaBroker
from tests.support.ports import free_loopback_port
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

_WITHIN_S = 120.0
SERVICES = ("ingest", "detect", "classify", "sink", "api")


def asked(api: Running, path: str, token: str) -> tuple[int, str]:
    """The status and the text of the API's answer."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(f"http://127.0.0.1:{api.port}{path}", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""


@pytest.fixture
def system(
    built: Built,
    secrets: Path,
    composed_broker: KafkaBroker,
    composed_store_with_users: RedisServer,
    tmp_path: Path,
) -> Iterator[dict[str, Running]]:
    """The camera and the services as deploy/compose.secrets.yml has them, at addresses of this machine."""
    composed = services(secrets=secrets)
    addresses = {
        "kafka:9092": composed_broker.bootstrap_servers,
        "redis://redis:6379": composed_store_with_users.url.removesuffix("/0"),
        "/run/secrets": str(secrets),
    }

    def here(word: str) -> str:
        for there, address in addresses.items():
            word = word.replace(there, address)
        return word

    def started(name: str, service: Service) -> Running:
        return Running(
            built,
            service["build"]["target"],
            {key: here(value) for key, value in (service.get("environment") or {}).items()},
            tmp_path / f"{name}.log",
            health_check=service["healthcheck"]["test"][1:] if "healthcheck" in service else None,
        )

    with ExitStack() as ends:
        camera = started("camera", composed["camera"])
        ends.callback(camera.kill)
        cameras = tmp_path / "cameras.yaml"
        listed = (DEPLOY / "demo-cameras.yaml").read_text()
        cameras.write_text(listed.replace("camera:8554", f"127.0.0.1:{camera.port}"))
        addresses["/run/cameras.yaml"] = str(cameras)
        for name in ("topics", "cameras", "demo-cameras"):
            variables = {key: here(value) for key, value in composed[name]["environment"].items()}
            words = [here(word) for word in task(built, composed[name])]
            done = partial(run_task, built, "command", words, variables)
            # `restart: on-failure`
            wait_until(lambda: done() is not None, _WITHIN_S, f"{name} is done")  # noqa: B023
        found = {"camera": camera}
        for name in SERVICES:
            found[name] = started(name, composed[name])
            ends.callback(found[name].kill)
        yield found


def task(built: Built, service: Service) -> list[str]:
    """The program of a one-time task and its arguments."""
    entry = service["entrypoint"] or built.dockerfile.last_of("command", "ENTRYPOINT").exec_form
    return [word.replace("$$", "$") for word in (*entry, *service["command"])]


@pytest.mark.timeout(400)
def test_the_people_before_the_simulated_camera_come_to_the_page(
    system: dict[str, Running], secrets: Path
) -> None:
    token = (secrets / "api_token").read_text()
    # It shows the clip that was made with the image.
    assert "/scene/" in system["camera"].log
    for name, one in system.items():
        wait_until(one.becomes_healthy, _WITHIN_S, f"{name} is ready")

    def classified() -> list[object]:
        status, text = asked(system["api"], "/v1/visits", token)
        assert status == 200, text
        return [one for one in json.loads(text)["visits"] if "age_years" in one]

    wait_until(classified, _WITHIN_S, "a face is classified")
    assert asked(system["api"], "/v1/visits", "")[0] == 401
    assert "agegender_" in asked(system["api"], "/metrics", token)[1]
    for name in reversed(SERVICES):
        assert system[name].stop() == 0, system[name].log


def test_a_service_without_a_broker_lives_and_says_so(built: Built, tmp_path: Path) -> None:
    absent = f"127.0.0.1:{free_loopback_port()}"
    sink = Running(built, "sink", {"KAFKA_BOOTSTRAP_SERVERS": absent}, tmp_path / "log")
    try:
        wait_until(sink.becomes_healthy, _WITHIN_S, "the sink is alive")
        wait_until(lambda: f"no answer from {absent}" in sink.log, _WITHIN_S, "the sink says what it misses")
        assert sink.stop() == 0
        assert not sink.is_healthy()
    finally:
        sink.kill()


@pytest.mark.parametrize("name", ["topics", "demo-cameras"])
def test_a_task_without_a_broker_fails_and_can_be_retried(built: Built, name: str) -> None:
    words = task(built, services()[name])
    absent = {"KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_loopback_port()}"}

    assert run_task(built, "command", words, absent) is None
