"""Fixtures for the tests of deploy/. No test needs a container engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.availability import ServerUnavailableError, skip_or_fail
from tests.support.compose import services
from tests.support.deploy_tools import DEPLOY, REPOSITORY, check
from tests.support.dockerfile import Built, Dockerfile
from tests.support.redis_server import RedisServer, find_redis_server, running_redis

# Imported when needed: most tests run without Kafka's client.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from tests.support.kafka_broker import KafkaBroker

_OF_THIS_MACHINE = ("LISTENERS", "ADVERTISED_LISTENERS", "CONTROLLER_QUORUM_VOTERS", "LOG_DIRS")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The images as folders. Each is built at its first use."""
    return Built(Dockerfile(DEPLOY / "Dockerfile"), REPOSITORY, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of new secrets for deploy/compose.secrets.yml."""
    folder = tmp_path_factory.mktemp("deploy") / "secrets"
    check("sh", DEPLOY / "new-secrets.sh", folder)
    return folder


@pytest.fixture(scope="session")
def composed_broker() -> Iterator[KafkaBroker]:
    """Kafka with the settings of docker-compose.yml, except for its port and its folder."""
    from tests.support.kafka_broker import broker_from_jars, settings_as_environment

    given = services()["kafka"]["environment"]

    def as_composed(text: str) -> str:
        kept = {f"KAFKA_{name}": settings_as_environment(text)[f"KAFKA_{name}"] for name in _OF_THIS_MACHINE}
        settings = {key: value for key, value in given.items() if key != "KAFKA_HEAP_OPTS"} | kept
        names = {key: key.removeprefix("KAFKA_").lower().replace("_", ".") for key in settings}
        return "\n".join(f"{names[key]}={value}" for key, value in settings.items())

    try:
        broker = broker_from_jars(as_composed)
    except ServerUnavailableError as error:
        skip_or_fail(error)
    try:
        broker.start()
        yield broker
    finally:
        broker.close()


@pytest.fixture(scope="session")
def composed_store() -> Iterator[RedisServer]:
    """The store with the settings of docker-compose.yml."""
    yield from _store(services()["redis"]["command"])


@pytest.fixture(scope="session")
def composed_store_with_users(secrets: Path) -> Iterator[RedisServer]:
    """The store with the settings of deploy/compose.secrets.yml."""
    command = services(secrets=secrets)["redis"]["command"]
    yield from _store([word.replace("/run/secrets", str(secrets)) for word in command])


def _store(command: list[str]) -> Iterator[RedisServer]:
    names = [word.removeprefix("--") for word in command[1::2]]
    settings = dict(zip(names, command[2::2], strict=True))
    return running_redis(lambda: RedisServer(find_redis_server("valkey"), more_settings=settings))
