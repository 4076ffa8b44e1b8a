"""Expiry dates of real certificates in the settings."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from agegender.shared.process.certificates import ends_at_s, register_certificate_gauges
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings, RedisSettings
from tests.support.certificates import Authority

NAME = "agegender_certificate_remaining_seconds"
DAY_S = 24 * 3600
ISSUED_FOR_S = 2 * DAY_S  # by tests.support.certificates


def kafka_settings(authority: Authority, **more: object) -> KafkaSettings:
    given = {"security_protocol": "SSL", "ca_path": authority.certificate, **more}
    return KafkaSettings.model_validate(given)


def test_the_end_is_the_one_that_openssl_reads(authority: Authority) -> None:
    shown = subprocess.run(
        ["openssl", "x509", "-enddate", "-noout", "-in", authority.certificate],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert ends_at_s(authority.certificate) == [ssl.cert_time_to_seconds(shown.strip().partition("=")[2])]


@pytest.mark.parametrize("days", [1, 365, 30_000], ids=["tomorrow", "in a year", "after 2050"])
def test_near_and_far_ends_are_read(tmp_path: Path, days: int) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("the program openssl is not installed")
    path = tmp_path / "ca.pem"
    key = ("-newkey", "rsa:2048", "-keyout", tmp_path / "ca.key")
    command = ("openssl", "req", "-x509", "-nodes", *key, "-days", str(days), "-subj", "/CN=x", "-out", path)
    subprocess.run([*map(str, command)], check=True, capture_output=True)
    assert ends_at_s(path) == [pytest.approx(time.time() + days * DAY_S, abs=60)]


def test_every_certificate_of_a_file_is_read_without_keys(authority: Authority) -> None:
    ours = authority.issue("worker").both
    ours.write_bytes(ours.read_bytes() + authority.certificate.read_bytes())
    assert len(ends_at_s(ours)) == 2


@pytest.mark.parametrize("damage", [0.1, 0.5, 0.9])
def test_a_certificate_that_breaks_off_is_refused(
    authority: Authority, tmp_path: Path, damage: float
) -> None:
    der = ssl.PEM_cert_to_DER_cert(authority.certificate.read_text())
    path = tmp_path / "broken.pem"
    path.write_text(ssl.DER_cert_to_PEM_cert(der[: int(len(der) * damage)]))
    with pytest.raises(ValueError, match="certificate"):
        ends_at_s(path)


def test_each_file_of_the_settings_is_told_and_only_those(authority: Authority) -> None:
    ours = authority.issue("worker")
    metrics = Metrics(CollectorRegistry())
    settings = kafka_settings(authority, certificate_path=ours.certificate, key_path=ours.key)
    register_certificate_gauges(metrics, settings, RedisSettings())
    for role in ("authority", "own"):
        told = metrics.total(NAME, server="kafka", role=role)
        assert told == pytest.approx(ISSUED_FOR_S, abs=120)
    assert metrics.by_label(NAME, "server").keys() == {"kafka"}


def test_a_renewed_file_is_seen_and_a_lost_one_counts_as_run_out(
    authority: Authority, tmp_path: Path
) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(authority.certificate.read_bytes())
    metrics = Metrics(CollectorRegistry())
    register_certificate_gauges(metrics, kafka_settings(authority, ca_path=path))
    assert metrics.total(NAME) > 0
    path.write_text("nothing")
    assert metrics.total(NAME) == 0
    path.unlink()
    assert metrics.total(NAME) == 0
    path.write_bytes(authority.certificate.read_bytes())
    assert metrics.total(NAME) > 0
