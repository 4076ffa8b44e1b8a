"""Broken, slow and silent clients of the API do not disturb others."""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agegender.services.api import server as server_module
from tests.support.api import ApiClient, running_api
from tests.support.raw_http import answers_to, anything_sent
from tests.support.waiting import wait_until

ASK_WITHIN_S = 1.5
PLACES = 20

_fuzzing = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module", autouse=True)
def hasty() -> Iterator[None]:
    """The same limits with shorter times and fewer connections."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_module, "_REQUEST_WITHIN_S", ASK_WITHIN_S)
        patch.setattr(server_module, "_READ_WITHIN_S", ASK_WITHIN_S)
        patch.setattr(server_module, "_MORE_CONNECTIONS", PLACES - 1)
        yield


@pytest.fixture(scope="module")
def api(redis_url: str) -> Iterator[ApiClient]:
    with running_api(redis_url, event_clients=1) as api:
        yield api


def client_of(api: ApiClient) -> socket.socket:
    return socket.create_connection(("127.0.0.1", api.port), timeout=10)


def is_disconnected(client: socket.socket, within_s: float, say: bytes = b"") -> bool:
    """Whether the server closes the connection in time, while the client sends a byte now and then."""
    client.settimeout(0.1)
    until_s = time.monotonic() + within_s
    with contextlib.suppress(ConnectionError):
        while time.monotonic() < until_s:
            client.sendall(say)
            with contextlib.suppress(TimeoutError):
                if client.recv(65_536) == b"":
                    return True
        return False
    return True


@_fuzzing
@given(parts=anything_sent)
@example(parts=[b"GET /live HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n", b"zz\r\n"])
@example(parts=[b"POST /live HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n"])
@example(parts=[b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n\xff\xff"])
@example(parts=[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
def test_no_bytes_break_the_api(api: ApiClient, caplog: pytest.LogCaptureFixture, parts: list[bytes]) -> None:
    caplog.clear()
    answer = answers_to(api.port, parts)
    assert answer == b"" or re.match(rb"HTTP/1\.1 (200|400|404|405|413|414|421|503) ", answer), answer
    assert api.get("/live").status == 200
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


@_fuzzing
@given(
    body=st.binary(min_size=1, max_size=2_000), kind=st.sampled_from(["application/json", "text/plain", ""])
)
def test_a_body_is_refused(api: ApiClient, body: bytes, kind: str) -> None:
    head = f"GET /v1/now HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}"
    assert answers_to(api.port, [head.encode() + b"\r\n\r\n", body]).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("said", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: localhost\r\n"])
def test_a_client_with_an_unfinished_request_is_disconnected(api: ApiClient, said: bytes) -> None:
    started_s = time.monotonic()
    with client_of(api) as client:
        client.sendall(said)
        assert is_disconnected(client, ASK_WITHIN_S + 5)
        assert time.monotonic() - started_s > ASK_WITHIN_S - 0.2


def test_a_client_that_sends_byte_by_byte_is_disconnected(api: ApiClient) -> None:
    with client_of(api) as client:
        client.sendall(b"GET / HTTP/1.1\r\nX: ")
        assert is_disconnected(client, ASK_WITHIN_S + 5, say=b"x")


def test_so_is_one_with_a_complete_first_request(api: ApiClient) -> None:
    with client_of(api) as client:
        client.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")
        client.sendall(b"GET / HTTP/1.1\r\nX: ")
        assert is_disconnected(client, ASK_WITHIN_S + 5, say=b"x")


def test_a_client_of_events_stays_connected(api: ApiClient) -> None:
    with api.events() as events, client_of(api) as client:
        assert next(events).kind == "state"
        assert is_disconnected(client, ASK_WITHIN_S + 5)
        assert next(events).kind


def test_silent_clients_block_all_connections_only_briefly(api: ApiClient) -> None:
    with contextlib.ExitStack() as clients:
        for _ in range(PLACES + 5):
            clients.enter_context(client_of(api))
        wait_until(lambda: api.get("/live").status == 503, 5, "there is no place left")
        wait_until(lambda: api.get("/live").status == 200, ASK_WITHIN_S + 5, "there is room again")


def test_a_client_that_never_reads_is_disconnected(api: ApiClient) -> None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        client.connect(("127.0.0.1", api.port))
        client.setblocking(False)

        def is_gone() -> bool:
            """Sends requests until the buffers are full, because buffers hold answers on both sides."""
            try:
                while True:
                    client.send(b"GET /page/app.js HTTP/1.1\r\nHost: localhost\r\n\r\n")
            except BlockingIOError:
                return False
            except ConnectionError:
                return True

        wait_until(is_gone, 30, "it is let go")
    assert api.get("/live").status == 200
