"""A compacted topic as a dictionary, on a real broker."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from kafka import KafkaProducer
from prometheus_client import CollectorRegistry

from agegender.shared.cameras.record import CameraSettings
from agegender.shared.errors import BadMessage, SettingsError
from agegender.shared.kafka.removed_cameras import RemovedCameras
from agegender.shared.kafka.table import KafkaTable
from agegender.shared.kafka.topic_admin import ensure_topic
from agegender.shared.kafka.topics import CAMERAS
from agegender.shared.process import removed_series
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings
from tests.support.waiting import wait_until


@pytest.fixture
def settings(kafka: str, random_suffix: str) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=kafka, topic_prefix=f"{random_suffix}-", session_timeout_s=6)


@pytest.fixture
def table(settings: KafkaSettings) -> Iterator[KafkaTable[CameraSettings]]:
    one = opened(settings)
    yield one
    one.close()


def opened(settings: KafkaSettings) -> KafkaTable[CameraSettings]:
    table = KafkaTable(CAMERAS, settings, partitions=8)
    table.open()
    return table


def camera(camera_id: str, **fields: object) -> CameraSettings:
    return CameraSettings.model_validate({"id": camera_id, "source": f"rtsp://h/{camera_id}", **fields})


def held(table: KafkaTable[CameraSettings]) -> dict[str, CameraSettings | BadMessage]:
    return {key: entry.message for key, entry in table.entries.items()}


def write_raw(table: KafkaTable[CameraSettings], key: bytes, value: bytes, schema: bytes | None) -> None:
    producer = KafkaProducer(bootstrap_servers=table._kafka.bootstrap_servers)
    headers = [] if schema is None else [("schema", schema)]
    producer.send(table.name, key=key, value=value, headers=headers).get(10)
    producer.close(timeout=2)


def test_a_write_is_seen_by_later_and_by_present_readers(
    settings: KafkaSettings, table: KafkaTable[CameraSettings]
) -> None:
    cameras = {f"cam{number}": camera(f"cam{number}") for number in range(30)}
    table.write(dict(cameras))
    table.write({"cam3": None, "cam4": camera("cam4", fps=2), "unknown": None})
    del cameras["cam3"]
    cameras["cam4"] = camera("cam4", fps=2)
    wait_until(lambda: table.refresh(0.2) and held(table) == cameras, 10, "the changes arrive")
    later = opened(settings)
    try:
        assert held(later) == cameras
        assert {i: entry.partition for i, entry in later.entries.items()} == {
            i: entry.partition for i, entry in table.entries.items()
        }
        assert len({entry.partition for entry in later.entries.values()}) > 4
        assert later.refresh() is False
    finally:
        later.close()


def test_an_open_table_can_be_opened_again(table: KafkaTable[CameraSettings]) -> None:
    table.write({"door": camera("door")})
    table.open()
    assert held(table) == {"door": camera("door")}


def test_a_bad_record_is_told_and_harms_no_other(
    settings: KafkaSettings, table: KafkaTable[CameraSettings], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    good = table._codec.encode(camera("door")).value
    table.write({"door": camera("door"), "hall": camera("hall")})
    write_raw(table, b"hall", b'{"id":"hall","source":"rtsp://u:s3cretpw@h/x"}', b"camera-settings/1")
    write_raw(table, b"yard", b"\xff\xfe", b"camera-settings/1")
    write_raw(table, b"gate", good, b"camera-settings/1")
    write_raw(table, b"\xff", good, None)
    later = opened(settings)
    try:
        found = held(later)
        assert found["door"] == camera("door")
        reasons = {key: str(one) for key, one in found.items() if isinstance(one, BadMessage)}
        assert "a password never enters Kafka" in reasons["hall"]
        assert "camera-settings/1" in reasons["yard"]
        assert reasons["gate"] == "the message of key 'gate' belongs to another key"
        assert "no 'schema' header" in reasons["\ufffd"]
        assert "s3cretpw" not in str(reasons)
        assert len([one for one in caplog.records if one.message == "unreadable message"]) == 4
        later.write({"hall": camera("hall"), "yard": None, "gate": None})
        wait_until(lambda: later.refresh(0.2) and "gate" not in later.entries, 10, "they are repaired")
        assert held(later)["hall"] == camera("hall")
    finally:
        later.close()


def test_a_topic_that_forgets_is_refused(settings: KafkaSettings) -> None:
    ensure_topic(settings, settings.topic_prefix + CAMERAS.name, 600)
    with pytest.raises(SettingsError, match=r"cleanup\.policy=delete, expected compact"):
        opened(settings)


def test_the_series_of_a_removed_camera_leave_all_services(
    settings: KafkaSettings, table: KafkaTable[CameraSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removed_series, "_LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(removed_series, "_QUIET_S", 0.5)
    metrics = Metrics(CollectorRegistry())
    for name in ("door", "hall", "yard"):
        metrics.received.labels("detect", name, "frame").inc()
    table.write({"door": camera("door"), "hall": camera("hall"), "yard": camera("yard")})
    table.write({"yard": None})
    removed = RemovedCameras(settings, metrics)
    removed.start()
    try:
        wait_until(lambda: "yard" in removed, 20, "a camera removed earlier is known")
        table.write({"hall": None})
        wait_until(lambda: metrics.sum_by_camera().keys() == {"door"}, 20, "the series have left")
        table.write({"hall": camera("hall")})
        wait_until(lambda: "hall" not in removed, 20, "the camera is back")
    finally:
        removed.close()
