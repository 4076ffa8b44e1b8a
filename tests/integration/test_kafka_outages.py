"""A broker that dies or falls silent, and comes back."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from kafka import KafkaProducer

from agegender.shared.errors import NotNow
from agegender.shared.process.settings import KafkaSettings
from tests.support.bad_servers import tcp_server
from tests.support.kafka_broker import KafkaBroker
from tests.support.kafka_frames import (
    CAMERAS,
    MOST_S,
    by_camera,
    frames_of,
    frames_output,
    frames_source,
    numbers,
    opened,
    refused,
    some,
    stored,
    until_done,
)
from tests.support.waiting import wait_until


@pytest.fixture
def own_settings(mortal_broker: KafkaBroker, random_suffix: str) -> Iterator[KafkaSettings]:
    yield KafkaSettings(
        bootstrap_servers=mortal_broker.bootstrap_servers,
        topic_prefix=f"{random_suffix}-",
        partitions=2,
        session_timeout_s=6,
    )
    # The client leaves sockets to the garbage collector; it comes while their warnings are ignored.
    gc.collect()


@contextlib.contextmanager
def outage(broker: KafkaBroker, way: str) -> Iterator[None]:
    """The broker is killed or frozen, and back at the end of the block."""
    (broker.kill if way == "killed" else broker.freeze)()
    try:
        yield
    finally:
        (broker.start if way == "killed" else broker.thaw)()


def threads_of_the_client() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if "kafka" in one.name or "agegender" in one.name}


def test_nothing_opens_while_the_broker_is_away_or_silent(
    mortal_broker: KafkaBroker, own_settings: KafkaSettings
) -> None:
    """Nothing is left behind either."""
    threads_before = threads_of_the_client()
    source, output = frames_source(own_settings), frames_output(own_settings)
    with outage(mortal_broker, "frozen"):
        reasons = {refused(source.open)}
    with outage(mortal_broker, "killed"):
        reasons |= {refused(output.open)}
    assert reasons == {f"Kafka: no answer from {mortal_broker.bootstrap_servers}"}
    assert threads_of_the_client() <= threads_before
    for end in (source, output):
        until_done(end.open)
        end.close()


def test_opening_takes_seconds_when_the_broker_falls_silent(
    mortal_broker: KafkaBroker, own_settings: KafkaSettings
) -> None:
    """The broker answers the first connection, which asks for its address, and freezes before the second."""
    host, port = mortal_broker.bootstrap_servers.split(":")

    def first_connection(connection: socket.socket) -> None:
        with socket.create_connection((host, int(port))) as broker:
            for is_last in (False, True):  # the versions, then the metadata
                broker.sendall(whole_message(connection))
                answer = whole_message(broker)
                if is_last:
                    mortal_broker.freeze()
                connection.sendall(answer)

    try:
        with tcp_server(first_connection) as relay_port:
            relayed = own_settings.model_copy(update={"bootstrap_servers": f"127.0.0.1:{relay_port}"})
            assert refused(frames_source(relayed).open) == f"Kafka: no answer from 127.0.0.1:{relay_port}"
    finally:
        mortal_broker.thaw()


def whole_message(connection: socket.socket) -> bytes:
    """One message of Kafka's protocol with the four bytes of its length."""
    length = connection.recv(4, socket.MSG_WAITALL)
    return length + connection.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL)


@pytest.mark.parametrize("way", ["killed", "frozen"])
def test_a_write_during_an_outage_is_stored_once_and_in_order(
    mortal_broker: KafkaBroker, own_settings: KafkaSettings, way: str
) -> None:
    with opened(frames_output(own_settings)) as output:
        output.write(numbers(0, 1, cameras=CAMERAS))
        batch = numbers(*range(2, 30), cameras=CAMERAS)
        with outage(mortal_broker, way):
            assert refused(lambda: output.write(batch)).startswith("Kafka: no answer from 127.0.0.1:")
            refused(lambda: output.write(batch))
        until_done(lambda: output.write(batch))
        output.write(numbers(30, cameras=CAMERAS))
    assert by_camera(stored(own_settings)) == {camera: list(range(31)) for camera in CAMERAS}


def test_what_the_client_gave_up_on_is_sent_anew_in_its_order(
    mortal_broker: KafkaBroker, own_settings: KafkaSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agegender.shared.kafka.client.REQUEST_MS", 1_000)
    monkeypatch.setitem(KafkaProducer.DEFAULT_CONFIG, "delivery_timeout_ms", 1_500)
    with opened(frames_output(own_settings)) as output:
        output.write(numbers(0, cameras=CAMERAS))
        batch = numbers(*range(1, 30), cameras=CAMERAS)
        producer = output._producer

        def was_given_up() -> bool:
            refused(lambda: output.write(batch))
            return output._producer is not producer

        with outage(mortal_broker, "killed"):
            wait_until(was_given_up, 20, "the client gives up")
        until_done(lambda: output.write(batch))
    assert by_camera(stored(own_settings)) == {camera: list(range(30)) for camera in CAMERAS}


def test_a_source_notices_the_silence_and_goes_on_where_it_was(
    mortal_broker: KafkaBroker, own_settings: KafkaSettings
) -> None:
    with (
        opened(frames_output(own_settings)) as output,
        opened(frames_source(own_settings)) as source,
    ):
        output.write(numbers(0, 1, 2))
        found = some(source, at_least=2, max_messages=2)

        def notices() -> bool:
            started_s = time.monotonic()
            try:
                found.extend(frames_of(source.poll(2, 0.2)))
            except NotNow:
                return True
            finally:
                assert time.monotonic() - started_s < MOST_S
            return False

        with outage(mortal_broker, "killed"):
            wait_until(notices, 20, "the source notices")
            source.keep_alive()
            assert refused(source.commit) == f"Kafka: no answer from {mortal_broker.bootstrap_servers}"
        until_done(source.commit)
        until_done(lambda: output.write(numbers(3)))
        while len(found) < 4:
            until_done(lambda: found.extend(some(source)))
        assert by_camera(found) == {"cam1": [0, 1, 2, 3]}


@pytest.mark.parametrize("way", ["killed", "frozen"])
def test_closing_takes_seconds_in_every_state(
    mortal_broker: KafkaBroker, own_settings: KafkaSettings, way: str
) -> None:
    threads_before = threads_of_the_client()
    with (
        opened(frames_output(own_settings)) as output,
        opened(frames_source(own_settings)) as reading,
    ):
        output.write(numbers(0))
        some(reading)
        joining = frames_source(own_settings)
        joining.open()
        joining.poll(1, 0.5)
        with outage(mortal_broker, way):
            refused(lambda: output.write(numbers(1)))
            for end in (output, reading, joining):
                started_s = time.monotonic()
                end.close()
                assert time.monotonic() - started_s < MOST_S, end
    wait_until(lambda: threads_of_the_client() <= threads_before, 5, "the threads of the client end")
