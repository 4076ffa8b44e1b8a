"""The services of docker-compose.yml, each with the packages of its image alone, from camera to page."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.compose import Service, services
from tests.support.deploy_tools import DEPLOY, run
from tests.support.dockerfile import Built
from tests.support.images import Running
from tests.support.kafka_broker import KafkaBroker
from tests.support.redis_server import RedisServer
from tests.support.waiting import wait_until

_WITHIN_S = 120.0
SERVICES = ("ingest", "detect", "classify", "sink", "api")


def asked(api: Running, path: str, token: str) -> tuple[int, str]:
    """Status and text of what the API answers."""
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
        cameras.write_text(
            (DEPLOY / "demo-cameras.yaml").read_text().replace("camera:8554", f"127.0.0.1:{camera.port}")
        )
        wait_until(
            lambda: "demo" in applied(cameras, composed_broker.bootstrap_servers),
            _WITHIN_S,
            "the camera is known",
        )
        found = {"camera": camera}
        for name in SERVICES:
            found[name] = started(name, composed[name])
            ends.callback(found[name].kill)
        yield found


def applied(cameras: Path, bootstrap_servers: str) -> str:
    """What the service `cameras` says when it runs."""
    outer = {key: value for key, value in os.environ.items() if not key.startswith(("KAFKA_", "AGEGENDER_"))}
    return run(
        *(sys.executable, "-m", "agegender", "cameras", "apply", "--prune", cameras),
        environment=outer | {"KAFKA_BOOTSTRAP_SERVERS": bootstrap_servers},
    ).stdout


@pytest.mark.timeout(400)
def test_the_people_before_the_simulated_camera_come_to_the_page(
    system: dict[str, Running], secrets: Path
) -> None:
    token = (secrets / "api_token").read_text()
    for name, one in system.items():
        wait_until(one.becomes_healthy, _WITHIN_S, f"{name} is ready")

    def judged() -> list[object]:
        status, text = asked(system["api"], "/v1/persons", token)
        assert status == 200, text
        return [one for one in json.loads(text)["persons"] if "age_years" in one]

    wait_until(judged, _WITHIN_S, "somebody is judged")
    assert asked(system["api"], "/v1/persons", "")[0] == 401
    assert "agegender_" in asked(system["api"], "/metrics", token)[1]
    for name in reversed(SERVICES):
        assert system[name].stop() == 0, system[name].log
