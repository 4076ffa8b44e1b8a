"""What the sink tells Prometheus: how full the store is, and what was read from faces; on real stores."""

from __future__ import annotations

import logging

import pytest
import redis
from prometheus_client import CollectorRegistry

from agegender.services.sink.store_size import StoreSize
from agegender.shared.errors import NotNow
from agegender.shared.process.metrics import Metrics
from tests.support.made_messages import face_info, frame_info, unclassified_result, vote
from tests.support.redis_server import RedisServer
from tests.support.sink import opened_sink

USED, LIMIT = "agegender_store_used_bytes", "agegender_store_limit_bytes"


def test_the_sink_tells_how_much_memory_the_store_uses_and_may_use(own_redis: RedisServer) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", "64mb")
    with opened_sink(own_redis.url) as sink:
        sink.output.write(())
        assert sink.metrics.total(LIMIT) == 64 * 1024**2
        assert 100_000 < sink.metrics.total(USED) < 64 * 1024**2


def test_a_store_that_is_full_is_told_of_although_it_takes_nothing(own_redis: RedisServer) -> None:
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory", "1")
    with opened_sink(own_redis.url) as sink:
        with pytest.raises(NotNow, match="memory"):
            sink.output.write([vote()])
        assert sink.metrics.total(USED) > sink.metrics.total(LIMIT) == 1


def test_a_user_who_may_not_ask_writes_all_the_same_and_is_told_once(
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
    assert [one.getMessage() for one in caplog.records] == ["how full the store is will not be known"]
    assert metrics.total(USED) == 0


def test_each_judged_face_is_described_once_and_no_camera_is_named(redis_database: str) -> None:
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
