"""The settings and rules of Prometheus, tested with promtool."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from agegender.cli import app
from agegender.services.ingest.sources.stream import FailureReason
from agegender.shared.runtime.stage import DropReason
from tests.support.deploy_tools import DEPLOY, REPOSITORY
from tests.support.prometheus import promtool

FOLDER = DEPLOY / "prometheus"
RULES = sorted((FOLDER / "rules").glob("*.yml"))
TESTS = sorted((FOLDER / "tests").glob("*.yml"))
RUNBOOKS = REPOSITORY / "docs" / "runbooks.md"


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "rules" / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def expectations() -> Iterator[tuple[str, bool]]:
    """The alerts that unit tests name, each with whether it is expected to fire."""
    for path in TESTS:
        for test in yaml.safe_load(path.read_text())["tests"]:
            for one in test["promql_expr_test"]:
                for name in re.findall(r'alertname="(\w+)"', one["expr"]):
                    yield name, bool(one["exp_samples"])
                for prefix in re.findall(r'alertname=~"(\w+)\.\*"', one["expr"]):
                    yield from (
                        (rule["alert"], False) for rule in alerts() if rule["alert"].startswith(prefix)
                    )


def test_the_settings_and_rules_are_valid() -> None:
    # Only the syntax, because the file with the token exists only beside the services.
    promtool("check", "config", "--syntax-only", FOLDER / "prometheus.yml")
    promtool("check", "rules", *RULES)


@pytest.mark.parametrize("path", TESTS, ids=lambda path: Path(path).stem)
def test_each_alert_fires_when_it_should_and_only_then(path: Path) -> None:
    promtool("test", "rules", path)


def test_each_alert_is_tested_firing_and_silent() -> None:
    found = set(expectations())
    assert found == {(one["alert"], fires) for one in alerts() for fires in (True, False)}


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: str(alert["alert"]))
def test_each_alert_has_a_severity_and_a_runbook(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    assert alert["annotations"].keys() == {"summary", "description", "runbook"}
    assert alert["annotations"]["runbook"] == f"docs/runbooks.md#{alert['alert'].lower()}"


def test_each_alert_has_a_section_of_its_name() -> None:
    sections = re.findall(r"^## (\w+)$", RUNBOOKS.read_text(), re.MULTILINE)
    assert sections == [one["alert"] for one in alerts()]


def test_each_section_has_means_notice_look_and_do() -> None:
    for section in re.split(r"^## ", RUNBOOKS.read_text(), flags=re.MULTILINE)[1:]:
        name, _, text = section.partition("\n")
        parts = re.findall(r"^\*\*([^*]+)\.\*\*", text, re.MULTILINE)
        assert parts == ["Means", "Users notice", "Look", "Do"], name


@pytest.mark.parametrize(
    ("alert", "reasons"),
    [("CameraDown", FailureReason), ("FramesDropped", set(DropReason) - {DropReason.STOPPED})],
    ids=["failures", "drops"],
)
def test_each_reason_of_trouble_is_explained(alert: str, reasons: Iterable[StrEnum]) -> None:
    _, _, section = RUNBOOKS.read_text().partition(f"## {alert}\n")
    section, _, _ = section.partition("\n## ")
    assert [one.value for one in reasons if f"`{one.value}`" not in section] == []


def test_our_commands_in_the_sections_exist() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", RUNBOOKS.read_text(), re.DOTALL | re.MULTILINE)
    ours = [line for block in blocks for line in block.splitlines() if line.startswith("agegender ")]
    assert len(ours) >= 5
    for line in ours:
        done = CliRunner().invoke(app, [*shlex.split(line)[1:], "--help"])
        assert done.exit_code == 0, f"{line}: {done.output}"


def test_prometheus_scrapes_the_services_of_the_compose_file() -> None:
    services = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]
    jobs = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    found = [one for job in jobs for one in job.get("dns_sd_configs", ())]
    scraped = {name: one["port"] for one in found for name in one["names"]}
    assert scraped.keys() == {"ingest", "detect", "classify", "sink", "api"}
    ports = {name: services[name]["environment"].get("AGEGENDER_HTTP_PORT", "8080") for name in scraped}
    assert {name: int(port) for name, port in ports.items()} == scraped
