"""A real broker with logins and certificates: accepted clients, and the reasons for refused ones."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.shared.errors import NotNow
from agegender.shared.kafka.output import KafkaOutput
from agegender.shared.kafka.source import KafkaSource
from agegender.shared.messages.pipeline import Frame
from agegender.shared.process.secret_file import SecretFile
from agegender.shared.process.settings import KafkaSettings
from tests.support.availability import ServerUnavailableError, skip_or_fail
from tests.support.certificates import Authority
from tests.support.kafka_frames import (
    by_camera,
    frames_output,
    frames_source,
    numbers,
    opened,
    refused,
    some,
    until_done,
)
from tests.support.secured_kafka import SecuredKafka
from tests.support.waiting import wait_until

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <s(ocket|sl):ResourceWarning")

USER = "pipeline"
PASSWORD = 'pä55 @:/%#,=w"ö\\rd'
WRONG = "wr0ng@:/%#word"
NEEDLES = ("pä55", "p%C3%A455", "wr0ng")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    try:
        broker = SecuredKafka(tmp_path_factory.mktemp("kafka"), user=USER, password=PASSWORD)
    except ServerUnavailableError as error:
        skip_or_fail(error)
    try:
        broker.start()
        broker.set_password(USER, PASSWORD)
        yield broker
    finally:
        broker.close()


@pytest.fixture(autouse=True)
def _sockets_collected() -> Iterator[None]:
    # Records of errors keep the sockets alive; nor does the product let the client log them.
    level = logging.getLogger("kafka").level
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("kafka").setLevel(level)
    # The client leaves sockets to the garbage collector; it comes while their warnings are ignored.
    gc.collect()


def exchanged(settings: KafkaSettings) -> list[Frame]:
    """What comes back of two frames that are written and read with these settings."""
    with opened(frames_output(settings)) as output, opened(frames_source(settings)) as source:
        until_done(lambda: output.write(numbers(1, 2)))
        found = some(source, at_least=2)
        until_done(source.commit)
        return found


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_a_user_with_the_right_password_is_let_in_over_tls(
    broker: SecuredKafka, random_suffix: str, mechanism: str
) -> None:
    settings = broker.settings("login", sasl_mechanism=mechanism, topic_prefix=f"{random_suffix}-")
    assert by_camera(exchanged(settings)) == {"cam1": [1, 2]}


def test_a_user_name_with_scram_characters_can_log_in(broker: SecuredKafka, random_suffix: str) -> None:
    broker.set_password("a=b,c=3D", PASSWORD)
    settings = broker.settings("unencrypted", username="a=b,c=3D", topic_prefix=f"{random_suffix}-")
    assert by_camera(exchanged(settings)) == {"cam1": [1, 2]}


def test_a_certificate_of_the_trusted_authority_is_let_in(broker: SecuredKafka, random_suffix: str) -> None:
    ours = broker.authority.issue("worker", key_password=PASSWORD.replace('"', ""))
    settings = broker.settings(
        "mutual",
        certificate_path=ours.certificate,
        key_path=ours.key,
        key_password=PASSWORD.replace('"', ""),
        topic_prefix=f"{random_suffix}-",
    )
    assert by_camera(exchanged(settings)) == {"cam1": [1, 2]}


def reasons(settings: KafkaSettings) -> set[str]:
    """The reasons of source and output for a refused client, in time and without a secret."""
    found = {_reason(end) for end in (frames_output(settings), frames_source(settings))}
    assert not any(needle in reason for reason in found for needle in NEEDLES)
    return found


def _reason(end: KafkaOutput[Frame] | KafkaSource[Frame]) -> str:
    """A slow broker may refuse only after the time for an answer. Then the next try has the reason."""
    heard: list[str] = []

    def is_told() -> bool:
        heard.append(refused(end.open))
        end.close()
        return not heard[-1].startswith("Kafka: no answer from")

    wait_until(is_told, 20, "it is said why")
    return heard[-1]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("more", [{"password": WRONG}, {"username": "nobody"}], ids=["password", "user"])
def test_a_wrong_login_is_refused_in_plain_words(
    broker: SecuredKafka, mechanism: str, more: dict[str, str]
) -> None:
    settings = broker.settings("login", sasl_mechanism=mechanism, **more)
    (reason,) = reasons(settings)
    assert reason.startswith(
        f"Kafka: the broker refuses the login of user {settings.username!r} by {mechanism}, check "
        "KAFKA_USERNAME, KAFKA_PASSWORD"
    )


def test_a_broker_of_an_unknown_authority_is_not_trusted(broker: SecuredKafka, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger").certificate
    for ca_path in (stranger, None):
        (reason,) = reasons(broker.settings("login", ca_path=ca_path))
        assert reason.endswith("its certificate is not signed by a trusted authority: check KAFKA_CA_PATH")


def test_a_certificate_of_another_host_is_not_trusted(broker: SecuredKafka) -> None:
    (reason,) = reasons(broker.settings("elsewhere"))
    assert "its certificate is for another host" in reason
    assert "KAFKA_VERIFY_HOSTNAME" in reason


def test_the_host_name_is_unchecked_only_by_a_setting(
    broker: SecuredKafka, random_suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    environ = {
        "KAFKA_BOOTSTRAP_SERVERS": broker.address("elsewhere"),
        "KAFKA_SECURITY_PROTOCOL": "SSL",
        "KAFKA_CA_PATH": str(broker.authority.certificate),
        "KAFKA_VERIFY_HOSTNAME": "false",
        "KAFKA_TOPIC_PREFIX": f"{random_suffix}-",
    }
    with caplog.at_level(logging.WARNING):
        settings = KafkaSettings.load(environ)
    (record,) = caplog.records
    assert "KAFKA_VERIFY_HOSTNAME is off" in vars(record)["reason"]
    assert by_camera(exchanged(settings)) == {"cam1": [1, 2]}


def test_a_broker_that_wants_a_certificate_says_so(broker: SecuredKafka, tmp_path: Path) -> None:
    strange = Authority(tmp_path, "stranger").issue("worker")
    for ours in ({}, {"certificate_path": strange.both}):
        (reason,) = reasons(broker.settings("mutual", **ours))
        assert reason.endswith(
            "it requires a client certificate that it trusts: check KAFKA_CERTIFICATE_PATH"
        )


@pytest.mark.parametrize(
    ("speaks", "listener", "named"),
    [
        ("login", "unencrypted", "it does not speak TLS at this port"),
        ("unencrypted", "login", "SSL for TLS"),
        ("mutual", "login", "SASL_… for a login"),
    ],
)
def test_a_protocol_that_is_not_that_of_the_listener_is_named(
    broker: SecuredKafka, speaks: str, listener: str, named: str
) -> None:
    (reason,) = reasons(broker.settings(speaks, bootstrap_servers=broker.address(listener)))
    assert named in reason


def test_a_worker_without_a_login_hears_that_it_needs_one(broker: SecuredKafka) -> None:
    (reason,) = reasons(KafkaSettings(bootstrap_servers=broker.address("unencrypted")))
    assert "check that KAFKA_SECURITY_PROTOCOL" in reason


def test_a_rotated_password_counts_at_the_next_login(
    broker: SecuredKafka, random_suffix: str, tmp_path: Path
) -> None:
    """It changes at the broker first, and a moment later in the file. The clients stay open."""
    user, file = f"worker-{random_suffix}", tmp_path / "password"
    file.write_text(PASSWORD)
    broker.set_password(user, PASSWORD)
    settings = broker.settings(
        "login", username=user, password=SecretFile(file), topic_prefix=f"{random_suffix}-"
    )
    with opened(frames_output(settings)) as output, opened(frames_source(settings)) as source:
        until_done(lambda: output.write(numbers(1)))
        assert by_camera(some(source)) == {"cam1": [1]}
        until_done(source.commit)

        # Connections that stand are not asked again, all that come after the outage are.
        broker.set_password(user, WRONG)
        broker.stop()
        batch = numbers(2)
        assert refused(lambda: output.write(batch)).startswith("Kafka: no answer from")
        broker.start()
        for call in (lambda: output.write(batch), lambda: source.poll(1, 0.2)):
            wait_until(partial(_is_refused, call), 20, "the refused login is named")
        file.write_text(WRONG)
        until_done(lambda: output.write(batch))
        assert by_camera(some(source)) == {"cam1": [2]}


def _is_refused(call: Callable[[], object]) -> bool:
    return "refuses the login" in _reason_of(call)


def _reason_of(call: object) -> str:
    assert callable(call)
    try:
        call()
    except NotNow as error:
        return str(error)
    return ""
