"""docs/operations.md is true: its overlay renders, its commands and settings exist."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from typer.testing import CliRunner

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.cli import app, load_command
from agegender.commands.topics.forms import all_forms
from agegender.commands.topics.view import kept
from agegender.services.detect.config import DetectSettings
from agegender.shared.kafka.topics import LARGEST_BYTES
from agegender.shared.process.settings import KafkaSettings
from tests.deploy.test_kubernetes_product import KNOWN, STOP_S
from tests.support.deploy_tools import DEPLOY, REPOSITORY, check, program
from tests.support.kubernetes import Manifest, environment, of_kind, overlay, pod, pods, render
from tests.support.kubernetes_network import Namespace, may_ask
from tests.support.kubernetes_rules import broken

PAGE = (REPOSITORY / "docs" / "operations.md").read_text()
UNIT = DEPLOY / "systemd" / "agegender@.service"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def own_overlay(tmp_path: Path) -> list[Manifest]:
    """The overlay of the page, beside a checkout of this repository."""
    text = blocks("yaml")[0] + blocks("yaml")[1]
    (tmp_path / "kustomization.yaml").write_text(text)
    shutil.copytree(DEPLOY / "kubernetes", tmp_path / "agegender" / "deploy" / "kubernetes")
    return render(tmp_path)


@pytest.fixture
def rules() -> list[Manifest]:
    """The manifests that the page's loop over the rules sends."""
    (block,) = [block for block in blocks("sh") if "PrometheusRule" in block]
    (loop,) = re.findall(r"^ *for .*?^ *done$", block, re.MULTILINE | re.DOTALL)
    sent = check("bash", "-euc", loop.replace("kubectl -n monitoring apply -f -", "{ cat; echo ---; }"))
    return [one for one in yaml.safe_load_all(sent) if one is not None]


@pytest.fixture(scope="module")
def plan() -> dict[str, Any]:
    """The plan of the page."""
    (words,) = [words for words in _commands() if words[0] == "plan" and "--cameras" in words]
    made: dict[str, Any] = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    return made


def test_the_overlay_of_the_page_is_valid_and_has_its_settings(own_overlay: list[Manifest]) -> None:
    assert broken(own_overlay) == []
    text = blocks("yaml")[0] + blocks("yaml")[1]
    written = yaml.safe_load(text)
    images = {one["newName"] for one in written["images"]}
    assert {one.container["image"].rpartition(":")[0] for one in pods(own_overlay)} == images
    settings = dict(one.split("=", 1) for one in written["configMapGenerator"][0]["literals"])
    for one in pods(own_overlay):
        assert settings.items() <= environment(one, own_overlay).items()
    assert {one["kind"] for one in own_overlay} >= {"PodMonitor", "ScaledObject", "TriggerAuthentication"}


def test_the_overlay_holds_the_plan_of_the_page(own_overlay: list[Manifest], plan: dict[str, Any]) -> None:
    scaled = {one["metadata"]["name"]: one["spec"] for one in of_kind(own_overlay, "ScaledObject")}
    for name, wanted in plan["workers"].items():
        one = pod(own_overlay, name)
        most = scaled[name]["maxReplicaCount"] if name in scaled else one.owner["spec"]["replicas"]
        assert most >= wanted["workers"], name
        limits = one.container["resources"]["limits"]
        assert int(limits["cpu"]) >= wanted["cores_each"], name
        memory_bytes = int(limits["memory"][:-2]) * {"Mi": 2**20, "Gi": 2**30}[limits["memory"][-2:]]
        assert memory_bytes >= wanted["memory_mb_each"] * 1e6, name
    assert pod(own_overlay, "ingest").owner["spec"]["replicas"] == plan["workers"]["ingest"]["workers"]
    assert scaled["detect"]["maxReplicaCount"] == plan["workers"]["detect"]["workers"]


def test_detect_has_the_threads_cores_and_partitions_of_the_plan(
    own_overlay: list[Manifest], plan: dict[str, Any]
) -> None:
    detect, wanted = pod(own_overlay, "detect"), plan["workers"]["detect"]
    variables = environment(detect, own_overlay)
    assert DetectSettings.load(variables).threads == wanted["cores_each"]
    assert int(detect.container["resources"]["requests"]["cpu"]) == wanted["cores_each"]
    partitions = int(variables["KAFKA_PARTITIONS"])
    assert partitions >= max(one["partitions"] for one in plan["topics"])
    assert partitions % wanted["workers"] == 0


def test_monitors_and_rules_have_the_label_of_the_chart(
    own_overlay: list[Manifest], rules: list[Manifest]
) -> None:
    found = [*of_kind(own_overlay, "PodMonitor"), *rules]
    assert len(found) == 4
    assert {one["metadata"]["labels"]["release"] for one in found} == {"kube-prometheus-stack"}
    for one in of_kind(own_overlay, "Deployment"):
        assert "release" not in one["spec"]["selector"]["matchLabels"]


def test_the_rules_go_in_as_the_page_says(rules: list[Manifest]) -> None:
    assert [one["metadata"]["name"] for one in rules] == ["agegender-recording", "agegender-alerts"]
    for one in rules:
        name = one["metadata"]["name"].removeprefix("agegender-")
        plain = yaml.safe_load((DEPLOY / "prometheus" / "rules" / f"{name}.yml").read_text())
        assert (one["kind"], one["spec"]) == ("PrometheusRule", plain)


def test_the_dashboards_go_in_as_the_page_says() -> None:
    program("kubectl", where_from="apt install kubernetes-client, or https://kubernetes.io")
    (block,) = [block for block in blocks("sh") if "create configmap" in block]
    sent = " kubectl -n monitoring apply --server-side -f -"
    (command,) = re.findall(r"^ *(kubectl create configmap .*)", block, re.MULTILINE | re.DOTALL)
    assert sent in command
    (one,) = yaml.safe_load_all(check("bash", "-euc", command.replace(sent, " cat")))
    assert one["metadata"]["labels"] == {"grafana_dashboard": "1"}
    plain = {path.name: path.read_text() for path in (DEPLOY / "grafana" / "dashboards").iterdir()}
    assert one["data"] == plain
    # A cluster refuses more.
    assert sum(len(text) for text in plain.values()) < 2**20


def test_the_secrets_of_the_page_are_those_that_pods_ask_for(own_overlay: list[Manifest]) -> None:
    asked = {
        volume["secret"]["secretName"]
        for one in pods(own_overlay)
        for volume in one.spec["volumes"]
        if "secret" in volume
    }
    assert set(re.findall(r"^\| `(agegender-[a-z]+)` \|", PAGE, re.MULTILINE)) == asked
    (login,) = of_kind(own_overlay, "TriggerAuthentication")
    keys = {one["key"] for one in login["spec"]["secretTargetRef"]}
    (row,) = re.findall(r"^\| `agegender-kafka` \| (.*?) \|", PAGE, re.MULTILINE)
    assert keys <= set(re.findall(r"`([^`]+)`", row))


def _commands() -> Iterator[list[str]]:
    for block in blocks("sh"):
        for line in block.splitlines():
            for match in re.finditer(r"(?:^|[;{&] *|-- python -m )agegender ([^|;<]*)", line):
                yield shlex.split(match[1], comments=True)
    for match in re.finditer(r"`agegender ([^`]*)`", PAGE):
        yield shlex.split(match[1])


def test_every_command_of_the_page_exists_with_its_options() -> None:
    found = list(_commands())
    assert ["topics", "apply", "--partitions", "96", "--raise-partitions"] in found
    for words in found:
        command = load_command(words.pop(0))
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        options = {name for one in command.params for name in one.opts}
        assert {word for word in words if word.startswith("--")} <= options, words


def test_the_audits_of_the_page_may_ask_their_prometheus() -> None:
    audits = [words for words in _commands() if words[0] == "audit"]
    assert len(audits) > 1
    urls = [urlsplit(words[words.index("--prometheus") + 1]) for words in audits]
    manifests = overlay("cpu")
    inside = [url for url in urls if "." in str(url.hostname)]
    assert inside != []
    for url in inside:
        home = Namespace(str(url.hostname).rpartition(".")[2])
        assert may_ask(pod(manifests, "command"), home, int(url.port or 80), manifests)


def test_every_setting_of_the_page_exists() -> None:
    named = set(re.findall(r"\b(?:KAFKA|REDIS|API|SINK|INGEST|DETECT|CLASSIFY|AGEGENDER)_[A-Z_]+[A-Z]", PAGE))
    assert len(named) > 5
    assert named <= KNOWN.keys()


def test_every_file_of_the_page_exists() -> None:
    named = set(re.findall(r"(?<!exec )(?<!exec -i )\b((?:deploy|requirements)/[\w./@-]*\w)", PAGE))
    assert {"deploy/systemd/agegender@.service", "deploy/kubernetes/overlays/demo"} <= named
    assert [name for name in named if not (REPOSITORY / name).exists()] == []


def test_the_topics_of_the_page_are_those_that_are_made() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| ([^|]+) \| [^|]+ \|$", PAGE, re.MULTILINE)
    units = {" minutes": " min", " days": " d", " day": " d", " hour": " h"}
    said = {}
    for name, text in rows:
        for unit, short in units.items():
            text = text.replace(unit, short)
        said[name] = text
    assert said == {form.name: kept(form) for form in all_forms(KafkaSettings())}
    assert f"{LARGEST_BYTES:,} bytes" in PAGE


def test_the_numbers_on_the_page_are_those_of_the_base() -> None:
    manifests = overlay("cpu")
    variables = environment(pod(manifests, "topics"), manifests)
    for name in ("KAFKA_REPLICATION", "KAFKA_CAMERA_PARTITIONS"):
        assert f"`{name}={variables[name]}`" in PAGE


def test_the_unit_gives_a_worker_the_time_to_stop_and_is_sound(tmp_path: Path) -> None:
    text = UNIT.read_text()
    (stop_s,) = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert int(stop_s) > 1.5 * STOP_S
    analyze = program("systemd-analyze", where_from="a Linux with systemd")
    here = text.replace("/opt/agegender/bin/python", "/usr/bin/env").replace("User=agegender\n", "")
    for name in ("agegender-detect@.service", "agegender-detect@02.service"):
        (tmp_path / name).write_text(here)
    assert check(analyze, "verify", "--man=no", tmp_path / "agegender-detect@02.service") == ""
