"""The manifests under deploy/kubernetes, rendered as kubectl renders them, and what they say."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.support.deploy_tools import DEPLOY, check, program

KUBERNETES = DEPLOY / "kubernetes"
OVERLAYS = ("cpu", "gpu", "demo")

Manifest = dict[str, Any]

_POD_OWNERS = ("Deployment", "StatefulSet", "Job")


def render(folder: Path) -> list[Manifest]:
    """What `kubectl apply -k` of that folder would send."""
    kubectl = program("kubectl", where_from="apt install kubernetes-client, or https://kubernetes.io")
    return [one for one in yaml.safe_load_all(check(kubectl, "kustomize", folder)) if one is not None]


@functools.cache
def _overlay_text(name: str) -> str:
    return yaml.safe_dump_all(render(KUBERNETES / "overlays" / name))


def overlay(name: str) -> list[Manifest]:
    """The manifests of an overlay; the caller may change them."""
    return list(yaml.safe_load_all(_overlay_text(name)))


def composed(copy: Path, components: Sequence[str], settings: Sequence[str] = ()) -> list[Manifest]:
    """The base with these components and settings, as an operator's own overlay has them.

    Args:
        copy: a folder that does not exist; the manifests are copied there.
    """
    shutil.copytree(KUBERNETES, copy)
    kustomization = {
        "resources": ["../../base"],
        "components": [f"../../components/{name}" for name in components],
        "configMapGenerator": [{"name": "settings", "behavior": "merge", "literals": list(settings)}],
    }
    overlay = copy / "overlays" / "own"
    overlay.mkdir()
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return render(overlay)


@dataclass(frozen=True)
class Pod:
    """A pod as its owner describes it, with its only container."""

    owner: Manifest

    @property
    def name(self) -> str:
        return str(self.owner["metadata"]["name"])

    @property
    def kind(self) -> str:
        return str(self.owner["kind"])

    @property
    def labels(self) -> Mapping[str, str]:
        labels: Mapping[str, str] = self.owner["spec"]["template"]["metadata"]["labels"]
        return labels

    @property
    def spec(self) -> Manifest:
        spec: Manifest = self.owner["spec"]["template"]["spec"]
        return spec

    @property
    def container(self) -> Manifest:
        (container,) = self.spec["containers"]
        return dict(container)

    @property
    def is_worker(self) -> bool:
        return self.labels.get("app.kubernetes.io/component") == "worker"

    @property
    def is_ours(self) -> bool:
        return str(self.container["image"]).startswith("agegender-")

    @property
    def ports(self) -> Mapping[str, int]:
        return {one["name"]: one["containerPort"] for one in self.container.get("ports", ())}

    def matches(self, selector: Mapping[str, Any]) -> bool:
        """Whether a label selector means this pod."""
        wanted = selector.get("matchLabels", {})
        within = {one["key"]: one["values"] for one in selector.get("matchExpressions", ())}
        return all(self.labels.get(key) == value for key, value in wanted.items()) and all(
            self.labels.get(key) in values for key, values in within.items()
        )


def of_kind(manifests: Sequence[Manifest], *kinds: str) -> Iterator[Manifest]:
    return (one for one in manifests if one["kind"] in kinds)


def pods(manifests: Sequence[Manifest]) -> list[Pod]:
    return [Pod(one) for one in of_kind(manifests, *_POD_OWNERS)]


def pod(manifests: Sequence[Manifest], name: str) -> Pod:
    (found,) = [one for one in pods(manifests) if one.name == name]
    return found


def environment(one: Pod, manifests: Sequence[Manifest]) -> dict[str, str]:
    """The variables that the container gets."""
    maps = {m["metadata"]["name"]: m["data"] for m in of_kind(manifests, "ConfigMap")}
    found: dict[str, str] = {}
    for source in one.container.get("envFrom", ()):
        found |= maps[source["configMapRef"]["name"]]
    return found | {entry["name"]: entry["value"] for entry in one.container.get("env", ())}
