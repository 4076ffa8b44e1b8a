"""Kafka and the store with the settings that docker-compose.yml gives them, as real servers."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from pathlib import Path

import pytest
import redis
from redis.exceptions import NoPermissionError

from shared.codec import MAX_MESSAGE_BYTES
from shared.kafka_io import open_producer
from shared.kafka_topics import ensure_topic
from shared.messages import Presence, Result
from shared.settings import KafkaSettings, RedisSettings
from shared.store import ResultStore, connect
from shared.topics import FRAMES
from tests.support.compose import services
from tests.support.deploy_tools import run
from tests.support.kafka_broker import KafkaBroker
from tests.support.made_messages import frame_info, presence, sighting, vote
from tests.support.redis_server import RedisServer
from tests.support.sink import opened_sink
from tests.support.waiting import wait_until

_WITHIN_S = 60.0


def url_of(server: RedisServer, user: str, secrets: Path) -> str:
    password = (secrets / f"redis_{user}_password").read_text()
    return server.url.replace("redis://", f"redis://{user}:{password}@")


def test_the_one_shot_services_make_the_topics_and_the_cameras(composed_broker: KafkaBroker) -> None:
    outer = {key: value for key, value in os.environ.items() if not key.startswith(("KAFKA_", "AGEGENDER_"))}
    here = outer | {"KAFKA_BOOTSTRAP_SERVERS": composed_broker.bootstrap_servers}
    found = services()
    mounted = {one["target"]: one["source"] for one in found["cameras"]["volumes"]}
    cameras = [mounted.get(word, word) for word in found["cameras"]["command"]]
    command = (sys.executable, "-m", "agegender")
    # The shell of the image finds python by that name.
    entry = [
        word.replace("python", sys.executable).replace("$$", "$") for word in found["topics"]["entrypoint"]
    ]

    # As `restart: on-failure` does, where a busy machine does not answer in time.
    wait_until(
        lambda: run(*entry, *found["topics"]["command"], environment=here).returncode == 0,
        _WITHIN_S,
        "topics",
    )
    wait_until(lambda: "demo" in run(*command, *cameras, environment=here).stdout, _WITHIN_S, "cameras")
    nobody = run(
        *entry, *found["topics"]["command"], environment=here | {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    )
    assert nobody.returncode != 0, nobody.stdout


def test_the_broker_takes_the_largest_message_of_the_services(composed_broker: KafkaBroker) -> None:
    kafka = KafkaSettings(bootstrap_servers=composed_broker.bootstrap_servers)
    ensure_topic(kafka, FRAMES.name, FRAMES.retention_s)

    with closing(open_producer(kafka, "largest")) as producer:
        sent = producer.send(FRAMES.name, key=b"door", value=os.urandom(MAX_MESSAGE_BYTES))
        producer.flush()

        assert sent.succeeded(), sent.exception


def test_the_health_check_of_the_broker_tells_whether_it_listens(composed_broker: KafkaBroker) -> None:
    test = services()["kafka"]["healthcheck"]["test"]
    assert test[0] == "CMD"
    port = composed_broker.bootstrap_servers.rpartition(":")[2]

    assert run(*(word.replace("9092", port) for word in test[1:])).returncode == 0
    assert run(*(word.replace("9092", "1") for word in test[1:])).returncode != 0


def test_the_store_forgets_nothing_that_it_said_was_written(composed_store: RedisServer) -> None:
    with redis.Redis.from_url(composed_store.url, decode_responses=True) as client:
        found = client.config_get("append*", "maxmemory*")

    assert isinstance(found, dict)
    assert (found["appendonly"], found["appendfsync"]) == ("yes", "always")
    assert (found["maxmemory"], found["maxmemory-policy"]) == (str(2**30), "noeviction")


def test_the_sink_writes_and_the_reader_reads_with_the_rights_that_they_are_given(
    composed_store_with_users: RedisServer, secrets: Path
) -> None:
    visit: list[Result | Presence] = [
        vote("s1-1"),
        presence(sighting("s1-1", ended=True), frame=frame_info("cam1", sequence=1)),
    ]

    with opened_sink(url_of(composed_store_with_users, "sink", secrets)) as sink:
        sink.output.write(visit)
    with connect(RedisSettings().at(url_of(composed_store_with_users, "reader", secrets))) as client:
        store = ResultStore(client)
        assert [camera.camera_id for camera in store.cameras()] == ["cam1"]
        (person,) = store.persons().items
        assert store.person("cam1", person.person_id) == person
        assert store.results("cam1")
        store.now()
        store.closed(None)
        store.preview("cam1")
        with pytest.raises(NoPermissionError):
            client.delete("agegender:cameras")
        with pytest.raises(NoPermissionError):
            client.get("something else")


def test_without_a_password_the_store_says_that_it_lives_and_no_more(
    composed_store_with_users: RedisServer,
) -> None:
    with redis.Redis.from_url(composed_store_with_users.url) as client:
        assert client.ping()
        for refused in (lambda: client.get("agegender:cameras"), client.info, client.flushall, client.time):
            with pytest.raises(NoPermissionError):
                refused()
