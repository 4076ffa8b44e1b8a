"""Metrics of the sink: the size of the store and the results, on real stores."""

from __future__ import annotations

import logging

import pytest
import redis
from prometheus_client import CollectorRegistry

from agegender.services.sink import store_size
from agegender.services.sink.store_size import StoreSize
from agegender.shared.errors import NotNow
from agegender.shared.process.metrics import Metrics
from tests.support.made_messages import face_info, frame_info, unclassified_result, vote
from tests.support.redis_server import RedisServer
from tests.support.sink import opened_sink

USED, LIMIT = "agegender_store_used_bytes", "agegender_store_limit_bytes"
EVICTS = "agegender_store_evicts_bool"


def test_the_sink_reports_used_and_allowed_memory(own_redis: RedisServer) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", "64mb")
    with opened_sink(own_redis.url) as sink:
        sink.output.write(())
        assert sink.metrics.total(LIMIT) == 64 * 1024**2
        assert 100_000 < sink.metrics.total(USED) < 64 * 1024**2


def test_a_full_store_is_reported_although_it_refuses_writes(own_redis: RedisServer) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", "1")
    with opened_sink(own_redis.url) as sink:
        with pytest.raises(NotNow, match="memory"):
            sink.output.write([vote()])
        assert sink.metrics.total(USED) > sink.metrics.total(LIMIT) == 1


def test_a_store_that_deletes_keys_is_reported_once(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until its policy is mended. Without a limit no policy deletes a key."""
    monkeypatch.setattr(store_size, "_MEASURE_EVERY_S", 0.0)
    metrics = Metrics(CollectorRegistry())
    with redis.Redis.from_url(own_redis.url) as client:
        size = StoreSize(client, metrics)

        def told(**settings: str) -> tuple[float, int]:
            for name, value in settings.items():
                client.config_set(name.replace("_", "-"), value)
            size.measure()
            return metrics.total(EVICTS), len(caplog.records)

        assert told(maxmemory="64mb") == (0, 0)
        assert told(maxmemory="0", maxmemory_policy="allkeys-lru") == (0, 0)
        assert told(maxmemory="64mb") == (1, 1)
        assert told() == (1, 1)
        assert told(maxmemory_policy="noeviction") == (0, 1)
        assert told(maxmemory_policy="volatile-ttl") == (1, 2)
    assert {one.getMessage() for one in caplog.records} == {
        "a full store deletes keys, and counts will then be wrong"
    }


def test_without_permission_for_info_the_sink_warns_once(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    metrics = Metrics(CollectorRegistry())
    with redis.Redis.from_url(own_redis.url) as client:
        client.execute_command("ACL", "SETUSER", "sink", "on", "nopass", "~*", "+@all", "-info")
    with redis.Redis.from_url(own_redis.url, username="sink", password="any") as client:
        size = StoreSize(client, metrics)
        with caplog.at_level(logging.WARNING):
            size.measure()
            size.measure()
    assert [one.getMessage() for one in caplog.records] == [
        "the ACL forbids INFO, so the metrics lack the size of the store"
    ]
    assert metrics.total(USED) == 0


def test_each_classified_face_is_measured_once_without_camera(redis_database: str) -> None:
    unclassified = unclassified_result(face_info(frame_info(sequence=7)))
    with opened_sink(redis_database) as sink:
        votes = [vote(number=number, age_years=age) for number, age in ((1, 20.0), (2, 40.0))]
        for _ in range(2):
            sink.output.write([*votes, unclassified])
        metrics = sink.metrics
    assert metrics.total("agegender_age_years_count") == 2
    assert metrics.total("agegender_age_years_sum") == 60
    assert metrics.by_label("agegender_gender_confidence_ratio_count", "gender") == {votes[0].gender: 2}
    described = sum(one.face.quality is not None for one in (*votes, unclassified))
    assert metrics.total("agegender_face_quality_ratio_count") == described
    assert metrics.total("agegender_age_years_count", camera="cam1") == 0
