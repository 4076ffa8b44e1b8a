"""`agegender topics` as an operator uses it, on a real broker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from agegender.cli import app
from agegender.services.detect.checkpoints import CHECKPOINTS
from agegender.shared.errors import NotNow
from agegender.shared.kafka.changelog import KafkaChangelog
from agegender.shared.kafka.output import KafkaDeadLetters, KafkaOutput
from agegender.shared.kafka.table import KafkaTable
from agegender.shared.kafka.topic_admin import open_topics
from agegender.shared.kafka.topics import CAMERAS, FACES, FRAMES, NOTICES, PREVIEWS, RESULTS
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.transport import Assignment

Admin = Any  # kafka-python has no types

NAMES = {"cameras", "frames", "faces", "results", "previews", "notices", "dead-letters", "checkpoints"}


@pytest.fixture
def prefix(kafka: str, random_suffix: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("KAFKA_TOPIC_PREFIX", f"{random_suffix}-")
    monkeypatch.setenv("KAFKA_PARTITIONS", "3")
    monkeypatch.setenv("KAFKA_CAMERA_PARTITIONS", "5")
    monkeypatch.setenv("COLUMNS", "200")
    return f"{random_suffix}-"


@pytest.fixture
def admin(kafka: str) -> Iterator[Admin]:
    with KafkaAdminClient(bootstrap_servers=kafka) as client:
        yield client


def topics(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["topics", *arguments])


def states(result: Result, prefix: str) -> dict[str, str]:
    """Topic → what the command says of it, with --json."""
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    return {row["topic"].removeprefix(prefix): row["state"] for row in rows}


def differences(result: Result) -> list[dict[str, str]]:
    return [one for line in result.stdout.splitlines() for one in json.loads(line)["differences"]]


def there(admin: Admin, prefix: str) -> dict[str, int]:
    """Topic → its partitions."""
    ours = [one for one in admin.describe_topics() if one["name"].startswith(prefix)]
    return {one["name"].removeprefix(prefix): len(one["partitions"]) for one in ours}


def test_apply_creates_missing_topics_and_check_accepts_them(prefix: str, admin: Admin) -> None:
    missing = topics("check", "--json")
    assert missing.exit_code == 1
    assert states(missing, prefix) == dict.fromkeys(NAMES, "missing")
    dry = topics("apply", "--dry-run", "--json")
    assert dry.exit_code == 0
    assert states(dry, prefix) == dict.fromkeys(NAMES, "would be created")
    assert there(admin, prefix) == {}
    assert states(topics("apply", "--json"), prefix) == dict.fromkeys(NAMES, "created")
    assert there(admin, prefix) == {**dict.fromkeys(NAMES, 3), "cameras": 5}
    for command in ("apply", "check"):
        again = topics(command, "--json")
        assert again.exit_code == 0
        assert states(again, prefix) == dict.fromkeys(NAMES, "same")
    shown = topics("check")
    assert shown.exit_code == 0
    assert "newest of each key, for ever" in shown.stdout
    assert "10 min" in shown.stdout


def test_services_and_the_command_create_the_same_topics(prefix: str) -> None:
    kafka = KafkaSettings.load()
    outputs = [KafkaOutput(one, kafka) for one in (FRAMES, FACES, RESULTS, PREVIEWS, NOTICES)]
    for output in (*outputs, KafkaDeadLetters(kafka)):
        output.open()
        output.close()
    table = KafkaTable(CAMERAS, kafka, kafka.camera_partitions)
    table.open()
    table.close()
    KafkaChangelog(CHECKPOINTS, kafka).read(Assignment(frozenset({0}), 3))
    found = topics("check", "--json")
    assert states(found, prefix) == dict.fromkeys(NAMES, "same")
    assert found.exit_code == 0


@pytest.mark.parametrize(
    ("topic", "setting", "value", "meaning"),
    [
        ("frames", "retention.ms", "604800000", "kept for longer than is said"),
        ("frames", "retention.ms", "-1", "kept for longer than is said"),
        ("frames", "retention.ms", "60000", "longer misses messages"),
        ("faces", "max.message.bytes", "1000000", "large messages are refused"),
        ("faces", "retention.bytes", "100000000", "deleted unseen"),
        ("cameras", "cleanup.policy", "delete", "another rule"),
        ("checkpoints", "min.compaction.lag.ms", "0", "go earlier"),
        ("results", "message.timestamp.type", "CreateTime", "clocks of workers"),
    ],
)
def test_a_different_setting_is_explained_and_left_unchanged(
    prefix: str, admin: Admin, topic: str, setting: str, value: str, meaning: str
) -> None:
    assert topics("apply").exit_code == 0
    resource = ConfigResource(ConfigResourceType.TOPIC, prefix + topic, {setting: value})
    admin.alter_configs([resource])
    for command in ("check", "apply"):
        told = topics(command, "--json")
        assert told.exit_code == 1
        assert states(told, prefix)[topic] == "differs"
        (one,) = differences(told)
        assert (one["setting"], one["found"]) == (setting, value)
        assert meaning in one["meaning"]
        assert f"--entity-name {prefix}{topic} --add-config {setting}=" in one["remedy"]
    shown = topics("check")
    assert f"{prefix}{topic}: {setting} is {value}, expected " in shown.stdout
    assert "kafka-configs.sh" in shown.stdout


def test_a_limit_of_size_is_given_to_the_topics_that_pass(
    prefix: str, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_PARTITION_BYTES", "300000000")
    assert topics("apply").exit_code == 0
    asked = [ConfigResource(ConfigResourceType.TOPIC, prefix + name) for name in ("frames", "cameras")]
    found = admin.describe_configs(asked, config_filter="all")["topic"]
    assert found[f"{prefix}frames"]["retention.bytes"]["value"] == "300000000"
    assert found[f"{prefix}cameras"]["retention.bytes"]["value"] == "-1"
    assert topics("check").exit_code == 0
    monkeypatch.delenv("KAFKA_PARTITION_BYTES")
    told = topics("check", "--json")
    assert told.exit_code == 1
    assert {one["setting"] for one in differences(told)} == {"retention.bytes"}


def test_the_order_of_two_policies_is_no_difference(prefix: str, admin: Admin) -> None:
    assert topics("apply").exit_code == 0
    turned = {"cleanup.policy": "delete,compact"}
    admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, f"{prefix}checkpoints", turned)])
    assert topics("check").exit_code == 0


def test_partitions_are_added_on_request_but_never_to_cameras(prefix: str, admin: Admin) -> None:
    assert topics("apply").exit_code == 0
    more = ("--partitions", "6", "--camera-partitions", "9", "--json")
    told = topics("apply", *more)
    assert told.exit_code == 1
    assert there(admin, prefix) == {**dict.fromkeys(NAMES, 3), "cameras": 5}
    assert {one["setting"] for one in differences(told)} == {"partitions"}
    assert "fewer workers" in differences(told)[1]["meaning"]
    dry = topics("apply", *more, "--raise-partitions", "--dry-run")
    assert states(dry, prefix)["frames"] == "would get partitions"
    assert there(admin, prefix)["frames"] == 3
    raised = topics("apply", *more, "--raise-partitions")
    assert "is counted as another visit" in raised.stderr
    assert states(raised, prefix) == {**dict.fromkeys(NAMES, "partitions added"), "cameras": "differs"}
    assert raised.exit_code == 1
    assert "KAFKA_CAMERA_PARTITIONS=5" in differences(raised)[0]["remedy"]
    assert there(admin, prefix) == {**dict.fromkeys(NAMES, 6), "cameras": 5}
    assert topics("check", "--partitions", "6").exit_code == 0


def test_partitions_that_were_added_meanwhile_are_no_error(prefix: str, admin: Admin) -> None:
    assert topics("apply").exit_code == 0
    with open_topics(KafkaSettings.load()) as found:
        for _ in ("ours", "theirs"):
            found.add_partitions(f"{prefix}checkpoints", 6)
    assert there(admin, prefix)["checkpoints"] == 6


def test_too_few_partitions_are_told_and_checkpoints_follow(prefix: str, admin: Admin) -> None:
    admin.create_topics({f"{prefix}frames": {"num_partitions": 4}}, wait_for_metadata=True)
    made = topics("apply", "--json")
    assert made.exit_code == 1
    assert there(admin, prefix) == {**dict.fromkeys(NAMES, 3), "cameras": 5, "frames": 4, "checkpoints": 4}
    (one,) = [one for one in differences(made) if one["setting"] == "partitions"]
    assert one["remedy"].startswith("set KAFKA_PARTITIONS=4 ")


def test_a_refusal_of_the_broker_is_reported_and_creates_nothing(prefix: str, admin: Admin) -> None:
    for arguments in (("apply",), ("apply", "--dry-run")):
        refused = topics(*arguments, "--replication", "3")
        assert isinstance(refused.exception, NotNow)
        assert "replicat" in str(refused.exception).lower()
    assert there(admin, prefix) == {}


def test_without_a_broker_the_exit_status_is_2() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "agegender", "topics", "check"],
        env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "agegender: Kafka: no answer from 127.0.0.1:9\n"
