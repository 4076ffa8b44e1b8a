"""`agegender plan` as an operator calls it."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner, Result

from agegender.cli import app
from agegender.commands.plan.constants import SHIPPED


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["plan", *words])


def test_a_plan_says_what_costs_most_and_what_breaks_first() -> None:
    done = run("--cameras", "200")
    assert done.exit_code == 0, done.output
    for word in ("detect", "frames", "Redis: memory", "What costs most", "What breaks first", "99 of 100"):
        assert word in done.stdout


def test_the_settings_of_a_plan_name_the_cores_that_threads_want() -> None:
    large, small = (" ".join(run("--cameras", cameras).stdout.split()) for cameras in ("200", "1"))
    assert "Set DETECT_THREADS=8" in large
    assert "Give each worker of detect its 8 cores, in Kubernetes by the CPU requests and limits" in large
    assert "cores, in Kubernetes" not in small


def test_a_plan_as_json_is_one_object_with_its_simulation() -> None:
    done = run("--cameras", "5000", "--gpu", "--json", "--simulate")
    assert done.exit_code == 0, done.output
    plan = json.loads(done.stdout)
    assert plan["systems"] * plan["cameras_each"] >= 5000
    assert plan["workers"]["detect"]["workers"] > 1
    assert [one["holds"] for one in plan["simulated"]] == [True, True, True]
    assert "The numbers of the GPU are a careful guess" in " ".join(plan["warnings"])


def test_a_plan_that_is_too_slow_fails_and_says_so() -> None:
    done = run("--cameras", "10", "--within", "0.1", "--simulate")
    assert done.exit_code == 1
    assert " no" in done.stdout


def test_constants_of_another_machine_change_the_plan(tmp_path: Path) -> None:
    constants = json.loads(SHIPPED.read_text())
    constants["detect"]["frame_ms"] *= 3
    slow = tmp_path / "slow.json"
    slow.write_text(json.dumps(constants))
    usual, other = (
        json.loads(run("--cameras", "50", "--json", *words).stdout)["cores"]
        for words in ((), ("--constants", str(slow)))
    )
    assert other > usual


def test_what_cannot_be_is_named() -> None:
    assert "--cameras: expected 1 to 100,000, got 0" in str(run("--cameras", "0").exception)
    assert "WIDTHxHEIGHT" in str(run("--cameras", "1", "--stream-size", "large").exception)
