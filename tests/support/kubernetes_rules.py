"""Rules for every manifest. Each rule names the manifests that break it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.support.kubernetes import Manifest, Pod, of_kind, pods

Rule = Callable[[Sequence[Manifest]], Iterator[str]]

_WRITES_TO_ITS_IMAGE = {"kafka"}  # the broker of the demo
_HAS_NO_SERVER = {"command"}


def pods_have_no_rights(manifests: Sequence[Manifest]) -> Iterator[str]:
    for one in pods(manifests):
        expected: dict[str, tuple[Any, Any]] = {
            "automountServiceAccountToken": (one.spec.get("automountServiceAccountToken"), False),
            "enableServiceLinks": (one.spec.get("enableServiceLinks"), False),
            **_of_security(one),
        }
        yield from (
            f"{one.name}: {name} is {found}, expected {wanted}"
            for name, (found, wanted) in expected.items()
            if found != wanted
        )
        if not one.spec.get("securityContext", {}).get("runAsUser"):
            yield f"{one.name}: it may run as root"


def _of_security(one: Pod) -> dict[str, tuple[Any, Any]]:
    whole, own = one.spec.get("securityContext", {}), one.container.get("securityContext", {})
    return {
        "runAsNonRoot": (whole.get("runAsNonRoot"), True),
        "seccompProfile": (whole.get("seccompProfile", {}).get("type"), "RuntimeDefault"),
        "allowPrivilegeEscalation": (own.get("allowPrivilegeEscalation"), False),
        "capabilities": (own.get("capabilities", {}).get("drop"), ["ALL"]),
        "readOnlyRootFilesystem": (
            own.get("readOnlyRootFilesystem"),
            one.name not in _WRITES_TO_ITS_IMAGE,
        ),
    }


def containers_say_what_they_need(manifests: Sequence[Manifest]) -> Iterator[str]:
    for one in pods(manifests):
        for kind in ("requests", "limits"):
            for what in ("cpu", "memory"):
                if what not in one.container.get("resources", {}).get(kind, {}):
                    yield f"{one.name}: no {what} in its {kind}"
        if not re.search(r":[0-9][0-9a-z.-]*$", one.container["image"]):
            yield f"{one.name}: the image {one.container['image']!r} has no fixed version"


def servers_are_asked_how_they_are(manifests: Sequence[Manifest]) -> Iterator[str]:
    for one in pods(manifests):
        if one.kind == "Job" or one.name in _HAS_NO_SERVER:
            continue
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            probe = one.container.get(kind)
            if probe is None:
                yield f"{one.name}: no {kind}"
                continue
            question = probe.get("httpGet") or probe["tcpSocket"]
            if question["port"] not in one.ports:
                yield f"{one.name}: {kind} asks the port {question['port']}, which it does not have"


def selectors_mean_somebody(manifests: Sequence[Manifest]) -> Iterator[str]:
    for one in of_kind(manifests, "NetworkPolicy", "PodDisruptionBudget", "PodMonitor", "Service"):
        spec = one["spec"]
        selector = spec.get("podSelector", spec.get("selector"))
        if one["kind"] == "Service":
            selector = {"matchLabels": selector}
        meant = [pod for pod in pods(manifests) if pod.matches(selector)]
        if not meant:
            yield f"{one['kind']} {one['metadata']['name']}: it means no pod"
        yield from (
            f"{one['kind']} {one['metadata']['name']}: {pod.name} has no port {port}"
            for port in _named_ports(one)
            for pod in meant
            if port not in pod.ports
        )
    for one in of_kind(manifests, "ScaledObject"):
        target = one["spec"]["scaleTargetRef"]["name"]
        if target not in {pod.name for pod in pods(manifests) if pod.kind == "Deployment"}:
            yield f"ScaledObject {one['metadata']['name']}: there is no Deployment {target}"


def _named_ports(one: Manifest) -> Iterator[str]:
    spec = one["spec"]
    yield from (port["targetPort"] for port in spec.get("ports", ()))
    yield from (endpoint["port"] for endpoint in spec.get("podMetricsEndpoints", ()))
    for rule in spec.get("ingress", ()):
        yield from (port["port"] for port in rule.get("ports", ()) if isinstance(port["port"], str))


def nothing_is_reachable_that_is_not_said(manifests: Sequence[Manifest]) -> Iterator[str]:
    closed = [
        one["metadata"]["name"]
        for one in of_kind(manifests, "NetworkPolicy")
        if one["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    ]
    if not closed:
        yield "no policy closes everything first"


def mounted_files_are_there(manifests: Sequence[Manifest]) -> Iterator[str]:
    made = {one["metadata"]["name"] for one in of_kind(manifests, "ConfigMap", "Secret")}
    for one in pods(manifests):
        mounts = {mount["name"]: mount["mountPath"] for mount in one.container.get("volumeMounts", ())}
        volumes = {volume["name"]: volume for volume in one.spec.get("volumes", ())}
        claims = {claim["metadata"]["name"] for claim in one.owner["spec"].get("volumeClaimTemplates", ())}
        if mounts.keys() != volumes.keys() | claims:
            yield f"{one.name}: volumes {sorted(volumes.keys() | claims)}, mounted {sorted(mounts)}"
        for source in one.container.get("envFrom", ()):
            if source["configMapRef"]["name"] not in made:
                yield f"{one.name}: there is no ConfigMap {source['configMapRef']['name']}"
        for entry in one.container.get("env", ()):
            value = str(entry.get("value", ""))
            if value.startswith("/run/") and not any(
                value.startswith(f"{path}/") for path in mounts.values()
            ):
                yield f"{one.name}: {entry['name']} is in no volume"
            if "valueFrom" in entry or ("PASSWORD" in entry["name"] and not entry["name"].endswith("_FILE")):
                yield f"{one.name}: {entry['name']} is not read from a file"


def updates_lose_nothing(manifests: Sequence[Manifest]) -> Iterator[str]:
    budgets = [one["spec"] for one in of_kind(manifests, "PodDisruptionBudget")]
    for one in pods(manifests):
        if not (one.is_worker or one.name == "api"):
            continue
        if [b["maxUnavailable"] for b in budgets if one.matches(b["selector"])] != [1]:
            yield f"{one.name}: expected one budget of one pod"
        update = one.owner["spec"]["strategy"]["rollingUpdate"]
        has_gpu = "nvidia.com/gpu" in one.container["resources"]["limits"]
        if update != (
            {"maxSurge": 0, "maxUnavailable": 1} if has_gpu else {"maxSurge": 1, "maxUnavailable": 0}
        ):
            yield f"{one.name}: an update takes pods away before there are others: {update}"


RULES: Sequence[Rule] = (
    pods_have_no_rights,
    containers_say_what_they_need,
    servers_are_asked_how_they_are,
    selectors_mean_somebody,
    nothing_is_reachable_that_is_not_said,
    mounted_files_are_there,
    updates_lose_nothing,
)


def broken(manifests: Sequence[Manifest]) -> list[str]:
    """What breaks any of the rules."""
    return [problem for rule in RULES for problem in rule(manifests)]
