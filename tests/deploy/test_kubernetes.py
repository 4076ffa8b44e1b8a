"""The manifests by themselves: every field is valid, and every pod is safe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("kubernetes_validate", reason="the package kubernetes-validate is not installed")

import jsonschema
import kubernetes_validate

from tests.support.kubernetes import KUBERNETES, OVERLAYS, Manifest, composed, overlay, pod, pods
from tests.support.kubernetes_rules import broken
from tests.support.kubernetes_schemas import SCHEMAS

OLDEST = "1.31"
COMPONENTS = ("scaling", "scaling-login", "monitoring", "kafka-login")
"""All but `gpu`, which has its own overlay."""


@pytest.fixture(scope="session")
def with_all_components(tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """An overlay that uses every component."""
    return composed(tmp_path_factory.mktemp("components") / "kubernetes", COMPONENTS)


@pytest.fixture(params=[*OVERLAYS, "with all components"])
def manifests(request: pytest.FixtureRequest, with_all_components: list[Manifest]) -> list[Manifest]:
    return with_all_components if request.param not in OVERLAYS else overlay(request.param)


def invalid(one: Manifest) -> list[str]:
    """The errors that Kubernetes, or the maker of that kind, would report."""
    schema = SCHEMAS.get(one["kind"])
    if schema is not None:
        return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(one)]
    found = []
    for version in (OLDEST, kubernetes_validate.latest_version()):
        try:
            kubernetes_validate.validate(one, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(error.message)
    return found


def test_every_manifest_is_valid_to_the_last_field(manifests: list[Manifest]) -> None:
    assert [(one["kind"], one["metadata"]["name"], invalid(one)) for one in manifests if invalid(one)] == []


def test_every_rule_holds(manifests: list[Manifest]) -> None:
    assert broken(manifests) == []
    assert len(pods(manifests)) >= 7


def test_all_is_in_one_namespace(manifests: list[Manifest]) -> None:
    homes = {one["metadata"].get("namespace") for one in manifests if one["kind"] != "Namespace"}
    assert homes == {"agegender"}


def test_every_component_is_tried() -> None:
    there = {path.name for path in (KUBERNETES / "components").iterdir()}
    assert there == {*COMPONENTS, "gpu"}
    assert {path.name for path in (KUBERNETES / "overlays").iterdir() if path.is_dir()} == set(OVERLAYS)


def _container(manifests: list[Manifest], name: str) -> dict[str, Any]:
    container: dict[str, Any] = pod(manifests, name).spec["containers"][0]
    return container


def _named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    (found,) = [one for one in manifests if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


Break = Callable[[list[Manifest]], object]

BREAKS: dict[str, Break] = {
    "a token of the cluster": lambda m: pod(m, "sink").spec.pop("automountServiceAccountToken"),
    "service links": lambda m: pod(m, "sink").spec.update(enableServiceLinks=True),
    "root": lambda m: pod(m, "api").spec["securityContext"].update(runAsUser=0),
    "seccomp": lambda m: pod(m, "api").spec["securityContext"].pop("seccompProfile"),
    "capabilities": lambda m: _container(m, "topics")["securityContext"].pop("capabilities"),
    "a writable root": lambda m: _container(m, "detect")["securityContext"].pop("readOnlyRootFilesystem"),
    "no memory limit": lambda m: _container(m, "ingest")["resources"]["limits"].pop("memory"),
    "no request": lambda m: _container(m, "ingest")["resources"]["requests"].pop("cpu"),
    "any version": lambda m: _container(m, "sink").update(image="agegender-sink:latest"),
    "no probe": lambda m: _container(m, "classify").pop("startupProbe"),
    "a probe of no port": lambda m: _container(m, "classify")["readinessProbe"]["httpGet"].update(port="web"),
    "a budget without pods": lambda m: _named(m, "PodDisruptionBudget", "sink")["spec"]["selector"][
        "matchLabels"
    ].update({"app.kubernetes.io/name": "sinks"}),
    "no budget": lambda m: m.remove(_named(m, "PodDisruptionBudget", "detect")),
    "a service of no port": lambda m: _named(m, "Service", "api")["spec"]["ports"][0].update(
        targetPort="web"
    ),
    "a policy without pods": lambda m: _named(m, "NetworkPolicy", "to-redis")["spec"]["podSelector"][
        "matchLabels"
    ].update({"uses-redis": "yes"}),
    "an open network": lambda m: m.remove(_named(m, "NetworkPolicy", "nothing-else")),
    "an unmounted secret": lambda m: _container(m, "api")["volumeMounts"].pop(),
    "a password in sight": lambda m: _container(m, "sink")["env"].append(
        {"name": "REDIS_PASSWORD", "value": "s3cret"}
    ),
    "no settings": lambda m: m.remove(next(one for one in m if one["kind"] == "ConfigMap")),
    "an update with a gap": lambda m: (
        pod(m, "sink").owner["spec"]["strategy"]["rollingUpdate"].update(maxUnavailable=1)
    ),
    "scaling of no target": lambda m: _named(m, "ScaledObject", "detect")["spec"]["scaleTargetRef"].update(
        name="detector"
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_is_found(name: str) -> None:
    manifests = overlay("cpu")
    BREAKS[name](manifests)
    assert broken(manifests) != []


@pytest.mark.parametrize(
    ("kind", "name", "path"),
    [
        ("Deployment", "detect", ("spec", "template", "spec", "containers", 0, "livenessProbes")),
        ("NetworkPolicy", "to-kafka", ("spec", "egres")),
        ("Job", "topics", ("spec", "backofLimit")),
        ("ScaledObject", "detect", ("spec", "maxReplicas")),
        ("ScaledObject", "detect", ("spec", "triggers", 0, "metadata", "bootstrapServer")),
    ],
)
def test_a_field_that_does_not_exist_is_found(kind: str, name: str, path: tuple[Any, ...]) -> None:
    one = _named(overlay("cpu"), kind, name)
    *inner, last = path
    place: Any = one
    for step in inner:
        place = place[step]
    place[last] = 1
    assert invalid(one) != []
