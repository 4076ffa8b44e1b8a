"""Logins and TLS in the settings: valid, contradicting and unsafe choices."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import pytest

from agegender.shared.errors import SettingsError
from agegender.shared.kafka.login import login_settings
from agegender.shared.process import secrets
from agegender.shared.process.secrets import mask
from agegender.shared.process.settings import KafkaSettings, RedisSettings, Settings
from tests.support.certificates import Authority, Certificate

SECRET = "s3cret@:/%#word"
LOGIN = {"KAFKA_SASL_MECHANISM": "scram-sha-512", "KAFKA_USERNAME": "worker", "KAFKA_PASSWORD": SECRET}
SASL = {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", **LOGIN}


@pytest.fixture(autouse=True)
def _secrets_forgotten_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets._Known, "values", frozenset())


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Certificate:
    return authority.issue("worker", key_password=SECRET)


def problem(settings: type[Settings], environ: dict[str, str]) -> str:
    with pytest.raises(SettingsError) as raised:
        settings.load(environ)
    assert "s3cret" not in str(raised.value)
    return str(raised.value)


def test_by_default_kafka_has_neither_login_nor_tls() -> None:
    assert login_settings(KafkaSettings.load({})) == {"security_protocol": "PLAINTEXT"}


def test_a_login_reaches_the_client_and_is_masked_from_then_on() -> None:
    settings = KafkaSettings.load(SASL)
    assert login_settings(settings) == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "worker",
        "sasl_plain_password": SECRET,
    }
    assert "s3cret" not in repr(settings) + str(settings) + settings.model_dump_json()
    assert mask(f"tell {SECRET}") == "tell ***"


def test_a_user_of_scram_is_sent_in_its_spelling() -> None:
    settings = KafkaSettings.load({**SASL, "KAFKA_USERNAME": "a=b,c"})
    assert login_settings(settings)["sasl_plain_username"] == "a=3Db=2Cc"
    plain = settings.model_copy(update={"sasl_mechanism": "PLAIN"})
    assert login_settings(plain)["sasl_plain_username"] == "a=b,c"


@pytest.mark.parametrize("missing", LOGIN)
def test_a_protocol_with_a_login_needs_all_of_it(missing: str) -> None:
    told = problem(KafkaSettings, {name: value for name, value in SASL.items() if name != missing})
    assert told.startswith(missing)
    assert "is not set, and KAFKA_SECURITY_PROTOCOL is SASL_PLAINTEXT" in told


def test_a_login_that_would_not_be_used_is_a_mistake() -> None:
    told = problem(KafkaSettings, LOGIN)
    for name in LOGIN:
        assert f"{name} is set, and KAFKA_SECURITY_PROTOCOL is PLAINTEXT: set it to SASL_SSL" in told


def test_tls_that_would_not_be_used_is_a_mistake(authority: Authority) -> None:
    ca_path = str(authority.certificate)
    assert problem(KafkaSettings, {"KAFKA_CA_PATH": ca_path, "KAFKA_VERIFY_HOSTNAME": "false"}) == (
        "KAFKA_CA_PATH is set and TLS is not used: set KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL; "
        "KAFKA_VERIFY_HOSTNAME is set and TLS is not used: set KAFKA_SECURITY_PROTOCOL to SSL or SASL_SSL"
    )
    assert problem(RedisSettings, {"REDIS_URL": "redis://store", "REDIS_CA_PATH": ca_path}) == (
        "REDIS_CA_PATH is set and TLS is not used: begin REDIS_URL with rediss:// or rediss+sentinel://"
    )


def with_tls(authority: Authority, ours: Certificate, **more: object) -> dict[str, str]:
    """The variables of a good setup, but for `more`; None leaves one out."""
    values = {
        "security_protocol": "SSL",
        "ca_path": authority.certificate,
        "certificate_path": ours.certificate,
        "key_path": ours.key,
        "key_password": SECRET,
        **more,
    }
    return {f"KAFKA_{name.upper()}": str(value) for name, value in values.items() if value is not None}


@pytest.mark.parametrize("in_one_file", [False, True])
def test_certificate_and_key_lie_in_two_files_or_in_one(
    authority: Authority, ours: Certificate, in_one_file: bool
) -> None:
    files = {"certificate_path": ours.both, "key_path": None} if in_one_file else {}
    context = login_settings(KafkaSettings.load(with_tls(authority, ours, **files)))["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"ca_path": "/no/such.pem"}, "KAFKA_CA_PATH: cannot read '/no/such.pem': No such file"),
        ({"certificate_path": "/no/such.pem"}, "KAFKA_CERTIFICATE_PATH: cannot read '/no/such.pem'"),
        ({"key_path": "/"}, "KAFKA_KEY_PATH: cannot read '/': Is a directory"),
        ({"key_password": None}, "KAFKA_KEY_PASSWORD is not set, and the private key is encrypted"),
        (
            {"key_password": "s3cret-no"},
            "KAFKA_KEY_PATH: not a PEM of certificate and private key, or KAFKA_KEY_P",
        ),
        ({"certificate_path": None}, "KAFKA_KEY_PATH also needs KAFKA_CERTIFICATE_PATH"),
    ],
)
def test_a_file_that_does_not_fit_is_named(
    authority: Authority, ours: Certificate, more: dict[str, str | None], named: str
) -> None:
    assert problem(KafkaSettings, with_tls(authority, ours, **more)).startswith(named)


def test_files_that_do_not_belong_together_are_named(authority: Authority, ours: Certificate) -> None:
    other = authority.issue("other")
    assert problem(KafkaSettings, with_tls(authority, ours, certificate_path=other.certificate)) == (
        "KAFKA_KEY_PATH: the private key does not belong to KAFKA_CERTIFICATE_PATH"
    )
    assert problem(KafkaSettings, with_tls(authority, ours, ca_path=other.key)) == (
        f"KAFKA_CA_PATH: no certificate in {str(other.key)!r}"
    )


def test_what_is_not_safe_is_said_when_it_is_loaded(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    open_key = tmp_path / "open.pem"
    open_key.write_bytes(authority.issue("worker").both.read_bytes())
    open_key.chmod(0o644)
    environ = {
        "KAFKA_SECURITY_PROTOCOL": "SSL",
        "KAFKA_CA_PATH": str(authority.certificate),
        "KAFKA_CERTIFICATE_PATH": str(open_key),
        "KAFKA_VERIFY_HOSTNAME": "false",
    }
    with caplog.at_level(logging.WARNING):
        KafkaSettings.load(environ)
        KafkaSettings.load({**SASL, "KAFKA_SASL_MECHANISM": "PLAIN"})
    reasons = [vars(record)["reason"] for record in caplog.records]
    assert [reason.split(" ")[0] for reason in reasons] == [
        "KAFKA_VERIFY_HOSTNAME",
        repr(str(open_key)),
        "KAFKA_PASSWORD",
    ]


def test_what_is_safe_is_not_worth_a_word(
    authority: Authority, ours: Certificate, caplog: pytest.LogCaptureFixture
) -> None:
    KafkaSettings.load(with_tls(authority, ours))
    KafkaSettings.load(SASL)
    assert caplog.records == []


@pytest.mark.parametrize(
    "url",
    [
        "redis://:s3cret@:/%#word@store",
        "redis://:s3/cret@store",
        "redis://worker:12/s3cret@store",
        "redis://worker:12?s3cret@store",
        "redis://worker:12#s3cret@store",
        "redis://store/s3cret",
        "redis://",
        "https://store",
        "unix:",
        "redis+sentinel://:s3cret@:/%#word@one,two/ours",
        "redis+sentinel://:s3/cret@one,two/ours",
        "redis+sentinel://one,two",
        "redis+sentinel://one,two/ours/s3cret",
        "redis+sentinel://one:70000/ours",
    ],
)
def test_an_unencoded_password_is_refused_with_the_remedy(url: str) -> None:
    told = problem(RedisSettings, {"REDIS_URL": url})
    assert told.startswith(("REDIS_URL: expected redis://", "REDIS_URL: expected redis+sentinel://"))
    assert "must be percent-encoded there; or use REDIS_PASSWORD or REDIS_PASSWORD_FILE" in told


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        (
            {"REDIS_URL": "redis://:abcd@store", "REDIS_PASSWORD": SECRET},
            "the login is given in REDIS_URL and in other settings: keep one",
        ),
        (
            {"REDIS_URL": "redis+sentinel://:abcd@one,two/ours", "REDIS_PASSWORD": SECRET},
            "the login is given in REDIS_URL and in other settings: keep one",
        ),
        (
            {"REDIS_URL": "redis://store", "REDIS_SENTINELS_PASSWORD": SECRET},
            "REDIS_SENTINELS_PASSWORD is set and REDIS_URL names no sentinels: begin it with "
            "redis+sentinel://",
        ),
        (
            {"REDIS_URL": "redis+sentinel://one/ours", "REDIS_SENTINELS_USERNAME": "worker"},
            "REDIS_SENTINELS_USERNAME is set and REDIS_SENTINELS_PASSWORD is not",
        ),
        ({"REDIS_USERNAME": "worker"}, "REDIS_USERNAME is set and REDIS_PASSWORD is not"),
        (
            {"REDIS_URL": "rediss://store?ssl_cert_reqs=none"},
            "REDIS_URL: give login and TLS as settings (REDIS_PASSWORD, REDIS_CA_PATH …), not after a ?",
        ),
        (
            {"REDIS_URL": f"redis://store?password={SECRET[:5]}"},
            "REDIS_URL: give login and TLS as settings (REDIS_PASSWORD, REDIS_CA_PATH …), not after a ?",
        ),
    ],
)
def test_a_login_of_redis_that_does_not_fit_is_named(environ: dict[str, str], told: str) -> None:
    assert problem(RedisSettings, environ) == told


def test_our_own_store_is_used_without_the_login_of_another() -> None:
    settings = RedisSettings.load({"REDIS_PASSWORD": SECRET, "REDIS_TIMEOUT_S": "2"}).at("unix:///s")
    assert (settings.username, settings.password, settings.timeout_s) == (None, None, 2)
