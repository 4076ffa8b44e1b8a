"""A store of another version is refused with one sentence that says what to do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from agegender.shared.errors import SchemaMismatch
from agegender.shared.store import CAMERAS_KEY, SCHEMA_KEY, CameraKeys, ResultStore
from agegender.shared.store.counts import LONGEST_KEPT_S
from agegender.shared.store.schema import SCHEMA
from tests.support.api import running_api
from tests.support.made_messages import track_summary, track_update
from tests.support.redis_cli import redis_cli_environment
from tests.support.redis_server import RedisServer
from tests.support.sink import opened_sink

ADVICE = "start afresh and delete the keys agegender:*, or set REDIS_URL to another database"
_ROOT = Path(__file__).parents[2]
_NEW_SECRETS = _ROOT / "deploy" / "new-secrets.sh"
_DOCUMENT = (_ROOT / "docs" / "redis.md").read_text()


def _made_by_an_older_version(client: redis.Redis) -> None:
    """Keys as they were before there was a schema number."""
    client.zadd(CAMERAS_KEY, {"cam1": 1_700_000_000.0})
    client.zadd("agegender:{cam1}:persons", {"s1-1": 1_700_000_000.0})
    client.set("agegender:{cam1}:person:s1-1", "{}")


def _made_by_a_newer_version(client: redis.Redis) -> None:
    client.set(SCHEMA_KEY, SCHEMA + 1)


OTHERS = [_made_by_an_older_version, _made_by_a_newer_version]

QUESTIONS: list[Callable[[ResultStore], object]] = [
    lambda store: store.cameras(),
    lambda store: store.now(),
    lambda store: store.visits(),
    lambda store: store.visit("cam1", "s1-1"),
    lambda store: store.counts(since_s=0.0, until_s=60.0, by="minute"),
    lambda store: store.closed(),
    lambda store: store.results("cam1"),
    lambda store: store.preview("cam1"),
]


def test_the_sink_notes_the_number_in_an_empty_store(redis_database: str) -> None:
    with opened_sink(redis_database) as sink:
        sink.output.write([track_update(track_summary())])
        assert sink.client.get(SCHEMA_KEY) == str(SCHEMA).encode()
        assert 0 < int(sink.client.ttl(SCHEMA_KEY)) <= LONGEST_KEPT_S
    with opened_sink(redis_database) as sink:
        assert len(sink.store.visits().items) == 1


def test_the_number_is_noted_again_after_a_loss_of_all_keys(redis_database: str) -> None:
    with opened_sink(redis_database) as sink:
        sink.output.write([track_update(track_summary())])
        sink.client.flushall()
        sink.output.write([track_update(track_summary())])
        assert sink.client.get(SCHEMA_KEY) == str(SCHEMA).encode()


@pytest.mark.parametrize("make", OTHERS)
def test_the_sink_refuses_another_schema(redis_database: str, make: Callable[[redis.Redis], None]) -> None:
    with redis.Redis.from_url(redis_database) as client:
        make(client)
        before = {key: client.dump(key) for key in client.scan_iter()}
        with pytest.raises(SchemaMismatch, match=re.escape(ADVICE)), opened_sink(redis_database):
            pass
        assert {key: client.dump(key) for key in client.scan_iter()} == before


def test_of_two_versions_on_an_empty_store_one_writes(redis_database: str) -> None:
    with opened_sink(redis_database) as sink:
        _made_by_a_newer_version(sink.client)
        with pytest.raises(SchemaMismatch):
            sink.output.write([track_update(track_summary())])
        assert sink.client.keys() == [SCHEMA_KEY.encode()]


@pytest.mark.parametrize("make", OTHERS)
def test_every_question_refuses_another_schema(
    redis_database: str, make: Callable[[redis.Redis], None]
) -> None:
    with redis.Redis.from_url(redis_database) as client:
        make(client)
        store = ResultStore(client)
        for ask in QUESTIONS:
            with pytest.raises(SchemaMismatch, match=re.escape(ADVICE)):
                ask(store)
        client.delete(*client.keys("agegender:*"))
        for ask in QUESTIONS:
            ask(store)


def test_the_query_command_prints_one_sentence(redis_database: str) -> None:
    with redis.Redis.from_url(redis_database) as client:
        _made_by_an_older_version(client)
    command = [sys.executable, "-m", "agegender", "query", "cameras"]
    done = subprocess.run(
        command,
        env={**os.environ, "REDIS_URL": redis_database},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = " ".join(done.stderr.split())
    assert done.returncode != 0
    assert "Traceback" not in told
    assert ADVICE in told


def test_the_api_says_so_until_the_keys_are_gone(redis_database: str) -> None:
    with redis.Redis.from_url(redis_database) as client:
        _made_by_an_older_version(client)
        with running_api(redis_database) as api:
            answer = api.get("/v1/cameras")
            assert answer.status == 503
            assert f"schema {SCHEMA}" in answer.json["detail"]
            assert answer.json["hint"].lower() == f"{ADVICE}.".lower()
            client.delete(*client.keys("agegender:*"))
            assert api.get("/v1/cameras").json["cameras"] == []


def test_the_users_of_deploy_may_do_all_that_is_needed(own_redis: RedisServer) -> None:
    rights = dict(re.findall(r'^(read|write)="(.+)"$', _NEW_SECRETS.read_text(), re.MULTILINE))
    with redis.Redis.from_url(own_redis.url) as admin:
        for name, right in (("reader", rights["read"]), ("sink", rights["write"])):
            words = ["~agegender:*", "resetchannels", "-@all", *right.split()]
            admin.execute_command("ACL", "SETUSER", name, "on", "nopass", *words)
    with opened_sink(own_redis.url.replace("://", "://sink:any@")) as sink:
        sink.output.write([track_update(track_summary())])
    with redis.Redis.from_url(own_redis.url, username="reader", password="any") as client:
        for ask in QUESTIONS:
            ask(ResultStore(client))


def test_a_store_that_lost_its_number_counts_as_old(redis_database: str) -> None:
    """A store that lost its number, but not its cameras, counts as old."""
    with opened_sink(redis_database) as sink:
        sink.output.write([track_update(track_summary())])
        assert sink.client.exists(CameraKeys.of("cam1").visits)
        sink.client.delete(SCHEMA_KEY)
        with pytest.raises(SchemaMismatch):
            ResultStore(sink.client).visits()


def test_the_documented_step_makes_an_old_store_usable(redis_database: str, tmp_path: Path) -> None:
    (command,) = re.findall(r"^redis-cli --scan --pattern 'agegender:\*'.*$", _DOCUMENT, re.MULTILINE)
    with redis.Redis.from_url(redis_database) as client:
        _made_by_an_older_version(client)
        client.set("another:key", "stays")
        environment = redis_cli_environment(redis_database, tmp_path)
        subprocess.run(["sh", "-c", command], env=environment, check=True, timeout=20, capture_output=True)
        assert client.keys() == [b"another:key"]
    with opened_sink(redis_database) as sink:
        assert sink.store.cameras() == []
