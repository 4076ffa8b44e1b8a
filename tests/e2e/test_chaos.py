"""A short run of `make chaos`: each part is killed, or stopped and continued, once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.chaos.brokers import Kafka
from benchmarks.chaos.plan import plan
from benchmarks.chaos.run import run
from benchmarks.chaos.world import REDIS_SETTINGS
from tests.support.kafka_broker import KafkaBroker
from tests.support.redis_pair import RedisPair
from tests.support.redis_server import find_redis_server

SEED = 19474
"""Each kind of fault once; kills the broker, detect and classify."""


@pytest.fixture
def safe_redis() -> Iterator[RedisPair]:
    """Two that forget nothing when they are killed."""
    with RedisPair(find_redis_server("valkey"), REDIS_SETTINGS) as pair:
        yield pair


@pytest.mark.timeout(300)
def test_crashes_under_load_lose_and_double_nothing(
    own_broker: KafkaBroker, safe_redis: RedisPair, tmp_path: Path
) -> None:
    rounds = plan(SEED, 10)
    outcome = run(rounds, Kafka.of(own_broker), safe_redis, tmp_path, Console())
    assert len(outcome.found.frames) > 20
    assert outcome.verdict.sentences() == []
    assert {one.closed for one in outcome.found.visits} == {"left", "timed-out"}
