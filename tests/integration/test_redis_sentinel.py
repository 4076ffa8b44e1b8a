"""Redis behind real sentinels: sink and readers find the primary, also after a failover and with logins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from pydantic import SecretStr

from agegender.shared.errors import NotNow, SettingsError
from agegender.shared.process.settings import RedisSettings
from agegender.shared.store import ResultStore, connect, redis_errors_sorted
from tests.support.certificates import Authority
from tests.support.made_messages import vote
from tests.support.redis_server import SERVER_KINDS
from tests.support.sentinel import Watched, watched
from tests.support.sink import opened_sink
from tests.support.waiting import wait_until


def settings_for(servers: Watched, **more: object) -> RedisSettings:
    logins = {"password": Watched.PASSWORD, "sentinels_password": Watched.SENTINELS_PASSWORD}
    return RedisSettings.model_validate({"url": servers.url, "timeout_s": 1, **logins, **more})


@pytest.fixture(scope="module", params=SERVER_KINDS)
def servers(request: pytest.FixtureRequest) -> Iterator[Watched]:
    with watched(request.param) as running:
        yield running


def reason(settings: RedisSettings) -> str:
    with connect(settings) as client, pytest.raises(NotNow) as raised, redis_errors_sorted(client):
        client.ping()
    assert not any(word in str(raised.value) for word in (Watched.PASSWORD, Watched.SENTINELS_PASSWORD))
    return str(raised.value)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"sentinels_password": "wr0ng"}, "check REDIS_SENTINELS_USERNAME and REDIS_SENTINELS_PASSWORD"),
        ({"sentinels_password": None}, "check REDIS_SENTINELS_USERNAME and REDIS_SENTINELS_PASSWORD"),
        ({"password": "wr0ng"}, "REDIS_PASSWORD was refused"),
    ],
)
def test_a_wrong_login_says_whose_it_is(servers: Watched, wrong: dict[str, object], told: str) -> None:
    assert told in reason(settings_for(servers, **wrong))


def test_a_name_that_no_sentinel_knows_is_told(servers: Watched) -> None:
    told = reason(settings_for(servers, url=servers.url.replace("/ours", "/theirs")))
    assert told == "Redis: no sentinel of REDIS_URL knows a primary named 'theirs' that is up"


def test_sentinels_that_are_away_are_told_and_awaited(servers: Watched) -> None:
    with connect(settings_for(servers)) as client:
        servers.freeze_sentinel()
        try:
            assert reason(settings_for(servers)) == "Redis: no sentinel of REDIS_URL answers"
        finally:
            servers.thaw_sentinel()
        wait_until(lambda: answers(client), 10, "the sentinel names the primary again")


def test_a_sentinel_in_a_plain_url_is_told(servers: Watched) -> None:
    port = servers.url.rpartition(":")[2].partition("/")[0]
    settings = RedisSettings(password=SecretStr(Watched.SENTINELS_PASSWORD), timeout_s=1)
    plain = settings.model_copy(update={"url": SecretStr(f"redis://127.0.0.1:{port}/0")})
    with (
        connect(plain) as client,
        pytest.raises(SettingsError, match=r"begin REDIS_URL with redis\+sentinel://"),
    ):
        ResultStore(client).cameras()


def test_the_sink_follows_the_primary_through_a_failover(servers: Watched) -> None:
    with opened_sink(settings_for(servers)) as sink:
        sink.output.write([vote(number=1)])
        assert sink.client.wait(1, 5_000) == 1, "the replica has it"
        servers.kill_primary()
        with pytest.raises(NotNow):
            sink.output.write([vote(number=2)])

        def is_written() -> bool:
            try:
                sink.output.write([vote(number=2)])
            except NotNow:
                return False
            return True

        wait_until(is_written, 20, "the new primary has it")
        assert len(sink.store.results("cam1", 10)) == 2
        assert sink.metrics.repeats.labels("cam1")._value.get() == 0


def test_servers_and_sentinels_may_take_tls_alone(authority: Authority) -> None:
    ours = authority.issue("worker")
    with watched("redis-server", authority) as servers:
        files = {"certificate_path": ours.certificate, "key_path": ours.key}
        settings = settings_for(servers, ca_path=authority.certificate, **files)
        with connect(settings) as client:
            assert answers(client)
        assert "check REDIS_CA_PATH" in reason(settings_for(servers, **files))


def answers(client: redis.Redis) -> bool:
    try:
        with redis_errors_sorted(client):
            return client.ping() is True
    except NotNow:
        return False
