"""With any bytes sent to the port of the metrics, probes are answered, and no client keeps a thread."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from prometheus_client import CollectorRegistry

from agegender.shared.process import health as health_module
from agegender.shared.process.health import Health, HealthServer
from agegender.shared.process.metrics import Metrics
from tests.support.raw_http import answers_to, anything_sent
from tests.support.waiting import wait_until

_fuzzing = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Of a server that is as strict as the real one, and sooner."""
    monkeypatch.setattr(health_module, "CLIENT_WITHIN_S", 1.5)
    metrics = Metrics(CollectorRegistry())
    with HealthServer([Health("sink", metrics)], metrics, "127.0.0.1", 0) as server:
        yield server.port


def is_alive(port: int) -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/live", timeout=5) as answer:
        return bool(answer.status == 200)


@_fuzzing
@given(parts=anything_sent)
@example(parts=[b"GET /live HTTP/1.1\r\nContent-Length: 5\r\n\r\n"])
@example(parts=[b"GET /metrics?name[]=\xff HTTP/1.1\r\nAccept-Encoding: gzip;q=x\r\n\r\n"])
@example(parts=[b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n"])
@example(parts=[b"GET /live HTTP/1.1\r\n" + b"X: y\r\n" * 5_000 + b"\r\n"])
def test_no_request_breaks_the_server_or_reaches_the_log(
    port: int, capfd: pytest.CaptureFixture[str], parts: list[bytes]
) -> None:
    answer = answers_to(port, parts)
    assert not re.match(rb"HTTP/1\.[01] 500", answer), answer
    assert b"Traceback" not in answer
    assert is_alive(port)
    assert capfd.readouterr() == ("", "")


def test_a_client_that_asks_letter_by_letter_is_let_go(port: int) -> None:
    started_s = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < started_s + 10:
                client.sendall(b"X")
                client.settimeout(0.1)
                with contextlib.suppress(TimeoutError):
                    if client.recv(1) == b"":
                        break
        assert 1 < time.monotonic() - started_s < 5


def test_a_client_that_never_reads_is_let_go(port: int) -> None:
    threads = threading.active_count()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        wait_until(lambda: threading.active_count() <= threads, 10, "its thread ends")


def test_too_many_clients_leave_room_for_a_probe(port: int) -> None:
    threads = threading.active_count()
    with contextlib.ExitStack() as clients:
        for _ in range(3 * health_module.MOST_CLIENTS):
            clients.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        assert is_alive(port)
        most = threads + health_module.MOST_CLIENTS
        wait_until(lambda: threading.active_count() <= most, 1, "those who came first are let go")
        wait_until(lambda: threading.active_count() <= threads, 10, "all are let go")
    assert is_alive(port)
