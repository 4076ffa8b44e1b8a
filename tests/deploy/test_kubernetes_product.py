"""The manifests against the product: names, ports, paths and times are those of the services."""

from __future__ import annotations

import importlib
import inspect
import re
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.cli import load_command
from agegender.commands.topics.forms import all_forms
from agegender.services.api.config import ApiSettings
from agegender.services.classify.config import ClassifySettings
from agegender.services.detect.config import DetectSettings
from agegender.services.ingest.config import IngestSettings
from agegender.services.sink.config import SinkSettings
from agegender.shared.kafka.client import ANSWER_MS, CLOSE_MS
from agegender.shared.process.health import Health, HealthServer
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings, ProcessSettings, RedisSettings, Settings
from agegender.shared.runtime.runner import Runner
from tests.support.certificates import Authority
from tests.support.deploy_tools import DEPLOY, REPOSITORY
from tests.support.kubernetes import (
    OVERLAYS,
    Manifest,
    Pod,
    composed,
    environment,
    of_kind,
    overlay,
    pod,
    pods,
)

_BOTH = (ProcessSettings, KafkaSettings)
SETTINGS: dict[str, tuple[type[Settings], ...]] = {
    "ingest": (*_BOTH, IngestSettings),
    "detect": (*_BOTH, DetectSettings),
    "classify": (*_BOTH, ClassifySettings),
    "sink": (*_BOTH, SinkSettings, RedisSettings),
    "api": (ProcessSettings, RedisSettings, ApiSettings),
    "command": (*_BOTH, RedisSettings),
    "topics": _BOTH,
    "cameras": _BOTH,
}
KNOWN = {
    name: kind
    for kinds in SETTINGS.values()
    for kind in kinds
    for variable in kind.variables()
    for name in (variable, f"{variable}_FILE")
}
"""Each variable with the settings class that it belongs to."""

# The batch in hand, a call that has just begun, and the closing of dead letters, output, states and source.
STOP_S: float = inspect.signature(Runner).parameters["grace_s"].default + (ANSWER_MS + 4 * CLOSE_MS) / 1000
"""How long a worker may take to stop."""


@pytest.fixture(params=[*OVERLAYS, "with a login"])
def manifests(request: pytest.FixtureRequest, tmp_path: Path) -> list[Manifest]:
    if request.param in OVERLAYS:
        return overlay(request.param)
    return composed(tmp_path / "kubernetes", ["scaling", "kafka-login"])


def ours(manifests: list[Manifest]) -> Iterator[Pod]:
    return (one for one in pods(manifests) if one.is_ours and one.name != "camera")


@pytest.fixture
def secrets(tmp_path: Path, authority: Authority) -> Path:
    """A folder with the content of the operator's Secrets, for /run/secrets of the pods."""
    texts = {
        "redis/password": "word-of-redis",
        "api/token": "token-of-16-signs",
        "kafka/username": "agegender",
        "kafka/password": "word-of-kafka",
        "kafka/ca.crt": authority.certificate.read_text(),
    }
    for name, text in texts.items():
        path = tmp_path / "secrets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "secrets"


def test_every_variable_is_a_setting_that_its_service_takes(manifests: list[Manifest], secrets: Path) -> None:
    for one in ours(manifests):
        variables = environment(one, manifests)
        assert variables.keys() - KNOWN.keys() == set(), one.name
        own = {entry["name"] for entry in one.container.get("env", ())}
        assert {KNOWN[name] for name in own} <= set(SETTINGS[one.name]), one.name
        for name in variables:
            if name.endswith(("_FILE", "_CA_PATH")):
                variables[name] = variables[name].replace("/run/secrets", str(secrets))
        for kind in SETTINGS[one.name]:
            kind.load(variables)


def test_a_misspelt_variable_would_be_found() -> None:
    assert "DETECT_FPS" not in KNOWN
    assert {"INGEST_FPS", "REDIS_PASSWORD_FILE"} <= KNOWN.keys()


def test_the_api_admits_clients_with_its_token(secrets: Path) -> None:
    manifests = overlay("cpu")
    variables = environment(pod(manifests, "api"), manifests)
    variables["API_TOKEN_FILE"] = variables["API_TOKEN_FILE"].replace("/run/secrets", str(secrets))
    settings = ApiSettings.load(variables)
    settings.check_access()
    assert settings.token is not None


def test_workers_are_asked_where_they_answer(manifests: list[Manifest]) -> None:
    metrics = Metrics(CollectorRegistry())
    health = Health("detect", metrics)
    health.ready()
    with HealthServer([health], metrics, "127.0.0.1", 0) as server:
        for one in pods(manifests):
            if not one.is_worker:
                continue
            settings = ProcessSettings.load(environment(one, manifests))
            assert (settings.http_host, settings.http_port) == ("0.0.0.0", one.ports["http"])  # noqa: S104
            annotations = one.owner["spec"]["template"]["metadata"]["annotations"]
            assert annotations["prometheus.io/port"] == str(settings.http_port)
            paths = {
                kind: one.container[kind]["httpGet"]["path"] for kind in ("livenessProbe", "readinessProbe")
            }
            assert paths == {"livenessProbe": "/live", "readinessProbe": "/ready"}
            for path in (*paths.values(), annotations["prometheus.io/path"]):
                with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}") as answer:
                    assert answer.status == 200


def test_the_api_is_asked_where_it_answers(manifests: list[Manifest]) -> None:
    one = pod(manifests, "api")
    assert int(environment(one, manifests)["API_PORT"]) == one.ports["http"]
    assert one.container["livenessProbe"]["httpGet"]["path"] == "/live"
    assert one.container["readinessProbe"]["httpGet"]["path"] == "/ready"


def test_each_image_is_a_target_in_this_version(manifests: list[Manifest]) -> None:
    targets = re.findall(r"^FROM \S+ AS (\S+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    for one in pods(manifests):
        if one.is_ours:
            name, _, tag = one.container["image"].partition(":")
            assert name.removeprefix("agegender-") in targets
            assert tag == version
            assert name.removeprefix("agegender-").removesuffix("-gpu") == one.name or one.name in (
                "topics",
                "cameras",
            )


def test_only_the_gpu_overlay_asks_for_a_gpu_and_uses_it() -> None:
    for name in OVERLAYS:
        manifests = overlay(name)
        asking = {
            one.name for one in pods(manifests) if "nvidia.com/gpu" in one.container["resources"]["limits"]
        }
        assert asking == ({"classify"} if name == "gpu" else set())
        device = ClassifySettings.load(environment(pod(manifests, "classify"), manifests)).device
        assert device == ("gpu" if name == "gpu" else "cpu")
        assert pod(manifests, "classify").container["image"].startswith("agegender-classify-gpu") == (
            name == "gpu"
        )


def test_workers_are_scaled_by_the_lag_of_their_own_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifests = composed(tmp_path / "kubernetes", ["scaling"])
    found = {one["metadata"]["name"]: one["spec"] for one in of_kind(manifests, "ScaledObject")}
    assert found.keys() == {"detect", "classify"}
    for name, spec in found.items():
        one = pod(manifests, name)
        variables = environment(one, manifests)
        for key, value in variables.items():
            monkeypatch.setenv(key, value)
        metrics = Metrics(CollectorRegistry())
        source = (
            importlib.import_module(f"agegender.services.{name}.__main__")
            .build(metrics, Health(name, metrics))
            ._source
        )
        (trigger,) = spec["triggers"]
        assert trigger["metadata"]["topic"] == source._name
        assert trigger["metadata"]["consumerGroup"] == source._group
        assert trigger["metadata"]["bootstrapServersFromEnv"] in variables
        assert 1 <= spec["minReplicaCount"] <= spec["maxReplicaCount"]
        assert spec["maxReplicaCount"] <= KafkaSettings.load(variables).partitions
        assert "replicas" not in one.owner["spec"]


def test_a_pod_has_the_time_that_its_service_takes_to_stop(manifests: list[Manifest]) -> None:
    for one in pods(manifests):
        if one.is_worker:
            assert one.spec["terminationGracePeriodSeconds"] > 1.5 * STOP_S


def test_pods_that_reach_cameras_have_their_passwords(manifests: list[Manifest]) -> None:
    users = [one for one in pods(manifests) if one.labels.get("uses-cameras") == "true"]
    assert {one.name for one in users} == {"ingest", "command"}
    place = str(IngestSettings.model_fields["secrets_path"].default)
    for one in users:
        (mount,) = [mount for mount in one.container["volumeMounts"] if mount["mountPath"] == place]
        (volume,) = [volume for volume in one.spec["volumes"] if volume["name"] == mount["name"]]
        assert (volume["secret"]["secretName"], volume["secret"]["optional"]) == ("agegender-cameras", True)
        assert mount["readOnly"] is True


def test_the_jobs_run_existing_commands(manifests: list[Manifest]) -> None:
    for one in pods(manifests):
        if one.kind == "Job":
            group, command = one.container["args"][:2]
            assert command in load_command(group).commands


def test_the_topics_of_a_cluster_are_safe_with_one_broker_away() -> None:
    manifests = overlay("cpu")
    kafka = KafkaSettings.load(environment(pod(manifests, "topics"), manifests))
    assert {(one.replicas, one.settings["min.insync.replicas"]) for one in all_forms(kafka)} == {(3, "2")}


def test_prometheus_knows_the_pods_as_its_rules_do(tmp_path: Path) -> None:
    manifests = composed(tmp_path / "kubernetes", ["monitoring"])
    of_compose = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"][0]
    for monitor in of_kind(manifests, "PodMonitor"):
        spec = monitor["spec"]
        meant = [one for one in pods(manifests) if one.matches(spec["selector"])]
        assert {one.labels[spec["jobLabel"]] for one in meant} == {of_compose["job_name"]}
        assert {one.labels["app.kubernetes.io/name"] for one in meant} == {one.name for one in meant}
        (endpoint,) = spec["podMetricsEndpoints"]
        assert endpoint["honorLabels"] is of_compose["honor_labels"]
        (label,) = endpoint["relabelings"]
        assert label == {
            "sourceLabels": ["__meta_kubernetes_pod_label_app_kubernetes_io_name"],
            "targetLabel": "service",
        }
        assert [
            {re.sub("([A-Z])", lambda one: f"_{one[0].lower()}", key): value for key, value in one.items()}
            for one in endpoint["metricRelabelings"]
        ] == of_compose["metric_relabel_configs"]
