"""A short run of `make soak`: what can be said after less than a minute."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.soak.picture import drawn
from benchmarks.soak.processes import can_be_watched
from benchmarks.soak.run import run
from benchmarks.soak.site import CAMERAS
from tests.support.faces import fetched_samples
from tests.support.kafka_broker import KafkaBroker
from tests.support.redis_server import RedisServer, find_redis_server, running_redis

SECONDS = 15.0


@pytest.fixture
def empty_redis() -> Iterator[RedisServer]:
    yield from running_redis(lambda: RedisServer(find_redis_server("valkey")))


@pytest.mark.skipif(not can_be_watched(), reason="this system has no /proc, which tells files and threads")
@pytest.mark.timeout(300)
def test_steady_load_leaks_nothing_and_the_audit_adds_up(
    own_broker: KafkaBroker, empty_redis: RedisServer, tmp_path: Path
) -> None:
    fetched_samples()
    outcome = run(SECONDS, own_broker.bootstrap_servers, empty_redis.url, tmp_path, Console())
    # How long things take depends on what else the machine does.
    assert [one for one in outcome.verdict.sentences if "delay" not in one] == []
    assert {one.camera_id for one in outcome.report.balances if one.whole.count} >= set(CAMERAS)
    recording = outcome.verdict.recording
    assert set(recording.services) == {"ingest", "detect", "classify", "sink", "api"}
    assert all(len(looks) >= SECONDS / 5 for looks in recording.services.values())
    assert all(look.memory_mb > 20 for looks in recording.services.values() for look in looks)
    assert recording.delay() is not None
    assert drawn(outcome.verdict).count("<polyline") == len(recording.services) * 3 + 2
