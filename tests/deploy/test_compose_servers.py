"""Real servers of Kafka and the store, with the settings of docker-compose.yml."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest
import redis
from kafka import KafkaAdminClient
from redis.exceptions import NoPermissionError

from agegender.shared.kafka.client import open_producer
from agegender.shared.messages.codec import MAX_MESSAGE_BYTES
from agegender.shared.messages.pipeline import Result, TrackUpdate
from agegender.shared.process.settings import KafkaSettings, RedisSettings
from agegender.shared.store import ResultStore, connect
from tests.support.compose import services
from tests.support.deploy_tools import run
from tests.support.kafka_broker import KafkaBroker
from tests.support.made_messages import frame_info, track_summary, track_update, vote
from tests.support.redis_server import RedisServer
from tests.support.sink import opened_sink

_WITHIN_S = 60.0


def url_of(server: RedisServer, user: str, secrets: Path) -> str:
    password = (secrets / f"redis_{user}_password").read_text()
    return server.url.replace("redis://", f"redis://{user}:{password}@")


def test_the_broker_takes_our_largest_message_in_any_topic(
    composed_broker: KafkaBroker,
) -> None:
    kafka = KafkaSettings(bootstrap_servers=composed_broker.bootstrap_servers)
    with KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers) as admin:
        admin.create_topics({"theirs": {"num_partitions": 1, "replication_factor": 1}})

    with closing(open_producer(kafka, "largest")) as producer:
        sent = producer.send("theirs", key=b"door", value=os.urandom(MAX_MESSAGE_BYTES))
        producer.flush()

        assert sent.succeeded(), sent.exception


def test_the_health_check_shows_whether_the_broker_listens(composed_broker: KafkaBroker) -> None:
    test = services()["kafka"]["healthcheck"]["test"]
    assert test[0] == "CMD"
    port = composed_broker.bootstrap_servers.rpartition(":")[2]

    assert run(*(word.replace("9092", port) for word in test[1:])).returncode == 0
    assert run(*(word.replace("9092", "1") for word in test[1:])).returncode != 0


def test_the_store_keeps_every_confirmed_write(composed_store: RedisServer) -> None:
    with redis.Redis.from_url(composed_store.url, decode_responses=True) as client:
        found = client.config_get("append*", "maxmemory*")

    assert isinstance(found, dict)
    assert (found["appendonly"], found["appendfsync"]) == ("yes", "always")
    assert (found["maxmemory"], found["maxmemory-policy"]) == (str(2**30), "noeviction")


def test_the_rights_of_sink_and_reader_suffice(composed_store_with_users: RedisServer, secrets: Path) -> None:
    messages: list[Result | TrackUpdate] = [
        vote("s1-1", camera_id="door"),
        track_update(track_summary("s1-1", ended=True), frame=frame_info("door", sequence=1)),
    ]

    with opened_sink(url_of(composed_store_with_users, "sink", secrets)) as sink:
        sink.output.write(messages)
    with connect(RedisSettings().at(url_of(composed_store_with_users, "reader", secrets))) as client:
        store = ResultStore(client)
        assert "door" in [camera.camera_id for camera in store.cameras()]
        (visit,) = store.visits(camera_ids=["door"]).items
        assert store.visit("door", visit.track_id) == visit
        assert store.results("door")
        store.now()
        store.closed(None)
        store.preview("door")
        with pytest.raises(NoPermissionError):
            client.delete("agegender:cameras")
        with pytest.raises(NoPermissionError):
            client.get("something else")


def test_without_a_password_the_store_only_answers_pings(
    composed_store_with_users: RedisServer,
) -> None:
    with redis.Redis.from_url(composed_store_with_users.url) as client:
        assert client.ping()
        for refused in (lambda: client.get("agegender:cameras"), client.info, client.flushall, client.time):
            with pytest.raises(NoPermissionError):
                refused()
