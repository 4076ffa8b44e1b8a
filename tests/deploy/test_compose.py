"""docker-compose.yml, checked by Compose and a linter, without an engine."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from agegender.services.api.config import ApiSettings
from agegender.services.classify.config import ClassifySettings
from agegender.services.detect.config import DetectSettings
from agegender.services.ingest.config import IngestSettings
from agegender.services.sink.config import SinkSettings
from agegender.shared.process.settings import KafkaSettings, ProcessSettings, RedisSettings, Settings
from tests.support.compose import COMPOSE_FILE, SECRETS_FILE, Service, compose, services
from tests.support.deploy_tools import DEPLOY, REPOSITORY, check
from tests.support.dockerfile import Dockerfile
from tests.support.node_tools import node_program

ALL = "kafka,redis,cpu,gpu,monitoring,demo,command"
WORKERS = {"ingest", "detect", "classify", "sink"}
SETTINGS: dict[str, list[type[Settings]]] = {
    "topics": [KafkaSettings],
    "cameras": [KafkaSettings],
    "demo-cameras": [KafkaSettings],
    "ingest": [KafkaSettings, IngestSettings],
    "detect": [KafkaSettings, DetectSettings],
    "classify": [KafkaSettings, ClassifySettings],
    "classify-gpu": [KafkaSettings, ClassifySettings],
    "sink": [KafkaSettings, RedisSettings, SinkSettings],
    "api": [RedisSettings, ApiSettings],
    "command": [KafkaSettings, RedisSettings],
    "camera": [],
}
"""The settings that each of our services reads, besides those of every process."""


@pytest.fixture(scope="module")
def everything() -> dict[str, Service]:
    """The services of all profiles."""
    return services(COMPOSE_PROFILES=ALL)


def environment(service: Service) -> dict[str, str]:
    return dict(service.get("environment") or {})


def test_the_linter_has_no_findings() -> None:
    dclint = node_program("dclint")
    settings = DEPLOY / "checks" / "dclint.yaml"

    check(dclint, "--config", settings, "--max-warnings", "0", COMPOSE_FILE, SECRETS_FILE)


def test_up_starts_the_whole_system_with_a_simulated_camera() -> None:
    assert services().keys() == {
        *("kafka", "redis", "topics", "cameras", "demo-cameras", "camera"),
        *("ingest", "detect", "classify", "sink", "api"),
        *("prometheus", "grafana"),
    }


@pytest.mark.parametrize("profile", ALL.split(","))
def test_every_profile_renders_alone_with_secrets_and_without(profile: str, secrets: Path) -> None:
    compose("config", "--quiet", COMPOSE_PROFILES=profile)
    compose("config", "--quiet", COMPOSE_PROFILES=profile, secrets=secrets)


def test_the_gpu_replaces_the_cpu_under_the_same_name() -> None:
    found = services(COMPOSE_PROFILES="kafka,redis,gpu")

    assert "classify" not in found
    gpu = found["classify-gpu"]
    assert gpu["networks"]["outside"]["aliases"] == ["classify"]
    (device,) = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])


def test_own_kafka_and_redis_replace_ours() -> None:
    own = {"KAFKA_BOOTSTRAP_SERVERS": "broker:9093", "REDIS_URL": "rediss://store:6380/0"}

    found = services(secrets=None, COMPOSE_PROFILES="cpu", **own)

    assert not {"kafka", "redis", "camera"} & found.keys()
    for name, service in found.items():
        given = environment(service)
        assert given.get("KAFKA_BOOTSTRAP_SERVERS", "broker:9093") == "broker:9093", name
        assert given.get("REDIS_URL", "rediss://store:6380/0") == "rediss://store:6380/0", name
        # Each has at least one network that is open to the outside.
        assert "outside" in service["networks"], name


@pytest.mark.parametrize("with_secrets", [False, True])
def test_every_variable_is_a_setting_that_its_service_knows(secrets: Path, *, with_secrets: bool) -> None:
    found = services(COMPOSE_PROFILES=ALL, secrets=secrets if with_secrets else None)
    dockerfile = Dockerfile(DEPLOY / "Dockerfile")

    ours = {name for name, service in found.items() if "build" in service}
    assert ours == SETTINGS.keys()
    for name in ours:
        kinds: list[type[Settings]] = [ProcessSettings, *SETTINGS[name]]
        known = {variable for kind in kinds for variable in kind.variables()}
        given = environment(found[name])
        of_image = dockerfile.pairs(found[name]["build"]["target"], "ENV")
        assert {one.removesuffix("_FILE") for one in given} <= known, name
        here = {
            key: str(value).replace("/run/secrets", str(secrets))
            for key, value in {**of_image, **given}.items()
        }
        for kind in kinds:
            loaded = kind.load(here)
            if isinstance(loaded, ApiSettings):
                loaded.check_access()
                assert (loaded.token is not None) == with_secrets


def test_pods_use_the_images_of_the_dockerfile(everything: dict[str, Service]) -> None:
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    targets = Dockerfile(DEPLOY / "Dockerfile").targets()

    built = {
        service["build"]["target"]: service["image"] for service in everything.values() if "build" in service
    }

    assert built == {target: f"agegender-{target}:{version}" for target in targets}
    of_others = [service["image"] for service in everything.values() if "build" not in service]
    assert all(re.fullmatch(r"[\w/.-]+:v?\d+\.\d+\.\d+[\w.-]*@sha256:[0-9a-f]{64}", one) for one in of_others)


def test_each_container_has_limits(everything: dict[str, Service]) -> None:
    for name, service in everything.items():
        limits = service["deploy"]["resources"]["limits"]
        assert limits["cpus"] <= 2, name
        assert int(limits["memory"]) > 0, name
        assert int(limits["pids"]) > 0, name
        options = service["logging"]["options"]
        assert (options["max-size"], options["max-file"]) == ("10m", "3"), name


def test_no_container_has_rights_that_it_does_not_need(everything: dict[str, Service]) -> None:
    for name, service in everything.items():
        assert service["cap_drop"] == ["ALL"], name
        assert "cap_add" not in service, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        # These two write outside their volumes.
        assert service.get("read_only", False) == (name not in ("kafka", "grafana")), name
        assert not service.get("privileged"), name
        assert all(volume["source"] != "/var/run/docker.sock" for volume in service.get("volumes", [])), name


def test_services_are_restarted_and_tasks_run_once(everything: dict[str, Service]) -> None:
    policies = {name: service["restart"] for name, service in everything.items()}

    assert policies.pop("command") == "no"
    tasks = ("topics", "cameras", "demo-cameras")
    assert {policies.pop(name) for name in tasks} == {"on-failure:10"}
    assert set(policies.values()) == {"unless-stopped"}


def test_a_service_starts_after_those_that_it_needs(everything: dict[str, Service]) -> None:
    def needs(name: str) -> Mapping[str, str]:
        given = everything[name].get("depends_on") or {}
        return {other: how["condition"] for other, how in given.items()}

    after_topics = {"topics": "service_completed_successfully"}
    assert needs("topics") == {"kafka": "service_healthy"}
    assert needs("cameras") == needs("detect") == needs("classify") == needs("classify-gpu") == after_topics
    after_cameras = {"cameras": "service_completed_successfully"}
    assert needs("demo-cameras") == after_cameras
    demo = {"demo-cameras": "service_completed_successfully", "camera": "service_healthy"}
    assert needs("ingest") == {**after_cameras, **demo}
    assert needs("sink") == {**after_topics, "redis": "service_healthy"}
    assert needs("api") == {"redis": "service_healthy"}
    assert needs("grafana") == {"prometheus": "service_healthy"}


def test_a_service_waits_for_the_end_of_each_task(
    everything: dict[str, Service],
) -> None:
    # `docker compose up --wait` treats any other container that ends as failed.
    waited_for = {
        other
        for service in everything.values()
        for other, how in (service.get("depends_on") or {}).items()
        if how["condition"] == "service_completed_successfully"
    }
    assert waited_for == {name for name, service in everything.items() if "on-failure" in service["restart"]}


def test_a_service_that_others_wait_for_has_a_health_check(everything: dict[str, Service]) -> None:
    dockerfile = Dockerfile(DEPLOY / "Dockerfile")

    for name, service in everything.items():
        if service["restart"] == "unless-stopped" and "healthcheck" not in service:
            assert dockerfile.all_of(service["build"]["target"], "HEALTHCHECK"), name


def test_what_is_mounted_from_the_repository_is_there(everything: dict[str, Service]) -> None:
    for name, service in everything.items():
        for volume in service.get("volumes", []):
            if volume["type"] == "bind":
                assert Path(volume["source"]).exists(), f"{name}: {volume['source']}"


def test_only_this_machine_reaches_the_ports(everything: dict[str, Service]) -> None:
    published = {name: service.get("ports", []) for name, service in everything.items()}

    assert {name for name, ports in published.items() if ports} == {"api", "grafana", "prometheus"}
    assert {port["host_ip"] for ports in published.values() for port in ports} == {"127.0.0.1"}


def test_only_clients_reach_kafka_and_the_store(everything: dict[str, Service]) -> None:
    members = {
        network: {name for name, service in everything.items() if network in service["networks"]}
        for network in ("bus", "store")
    }

    of_kafka = {"kafka", "topics", "cameras", "demo-cameras", "command", "classify-gpu"}
    assert members == {"bus": of_kafka | WORKERS, "store": {"redis", "sink", "api", "command"}}


def test_several_workers_of_a_service_share_the_partitions(
    everything: dict[str, Service],
) -> None:
    for name in WORKERS:
        assert "container_name" not in everything[name]
        assert "ports" not in everything[name]
        kafka = KafkaSettings.load(environment(everything[name]))
        assert kafka.partitions >= 12
        assert kafka.camera_partitions >= kafka.partitions
    again = services(CLASSIFY_REPLICAS="4", INGEST_REPLICAS="3")
    replicas = {name: again[name]["deploy"]["replicas"] for name in WORKERS}
    assert replicas == {"ingest": 3, "detect": 1, "classify": 4, "sink": 1}


def test_with_secrets_only_a_named_address_opens_the_page(secrets: Path) -> None:
    closed = services(secrets=secrets)
    opened = services(secrets=secrets, PUBLISH_AT="192.0.2.1")

    assert {port["host_ip"] for name in ("api", "grafana") for port in closed[name]["ports"]} == {"127.0.0.1"}
    assert {port["host_ip"] for name in ("api", "grafana") for port in opened[name]["ports"]} == {"192.0.2.1"}
    assert {port["host_ip"] for port in opened["prometheus"]["ports"]} == {"127.0.0.1"}


def test_each_container_gets_only_its_own_secrets(secrets: Path) -> None:
    found = services(secrets=secrets, COMPOSE_PROFILES=ALL)

    given = {name: {one["source"] for one in service.get("secrets", [])} for name, service in found.items()}
    assert {name: names for name, names in given.items() if names} == {
        "redis": {"redis_users", "redis_admin_password"},
        "sink": {"redis_sink_password"},
        "api": {"api_token", "redis_reader_password"},
        "command": {"redis_reader_password"},
        "prometheus": {"api_token"},
        "grafana": {"grafana_admin_password"},
    }
    rendered = compose("config", secrets=secrets, COMPOSE_PROFILES=ALL)
    assert not [path.name for path in secrets.iterdir() if path.read_text() in rendered]


def test_new_secrets_differ_are_kept_and_are_private(tmp_path: Path) -> None:
    for folder in ("one", "two", "one"):
        check("sh", DEPLOY / "new-secrets.sh", tmp_path / folder)
        if folder == "one":
            first = {path.name: path.read_text() for path in (tmp_path / "one").iterdir()}
    second = {path.name: path.read_text() for path in (tmp_path / "two").iterdir()}

    assert first == {path.name: path.read_text() for path in (tmp_path / "one").iterdir()}
    assert first.keys() == second.keys()
    assert not set(first.values()) & set(second.values())
    assert (tmp_path / "one").stat().st_mode & 0o777 == 0o700
    assert all(len(text) >= 64 for text in first.values())


def test_a_removed_secret_is_made_again_and_others_stay(tmp_path: Path) -> None:
    check("sh", DEPLOY / "new-secrets.sh", tmp_path)
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    (tmp_path / "redis_sink_password").unlink()

    check("sh", DEPLOY / "new-secrets.sh", tmp_path)

    after = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert after.keys() == before.keys()
    assert {name for name in before if after[name] != before[name]} == {"redis_sink_password", "redis_users"}
    users_before, users_after = (texts["redis_users"].splitlines() for texts in (before, after))
    changed = [new.split()[1] for old, new in zip(users_before, users_after, strict=True) if old != new]
    assert changed == ["sink"]
