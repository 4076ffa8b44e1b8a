"""The answers to probes over HTTP, also beside misbehaving clients."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry

from agegender.shared.errors import SettingsError
from agegender.shared.process import health as health_module
from agegender.shared.process.health import HUNG_AFTER_S, Health, HealthServer
from agegender.shared.process.metrics import Metrics


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class Served:
    """Two services behind one server."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.metrics = Metrics(CollectorRegistry())
        self.detect = Health("detect", self.metrics, self.clock)
        self.sink = Health("sink", self.metrics, self.clock)
        self.server = HealthServer([self.detect, self.sink], self.metrics, "127.0.0.1", 0)

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.server.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


@pytest.fixture
def served() -> Iterator[Served]:
    one = Served()
    with one.server:
        yield one


def test_a_service_that_starts_is_alive_and_not_ready(served: Served) -> None:
    assert served.get("/live")[0] == 200
    status, body = served.get("/ready")
    assert status == 503
    assert json.loads(body) == {"ok": False, "problems": {"detect": "starting", "sink": "starting"}}


def test_all_services_must_be_ready(served: Served) -> None:
    served.detect.ready()
    served.sink.ready()
    assert served.get("/ready") == (200, '{"ok": true, "problems": {}}\n')
    served.sink.not_ready("Redis: connection refused")
    status, body = served.get("/ready")
    assert status == 503
    assert json.loads(body)["problems"] == {"sink": "Redis: connection refused"}


def test_a_loop_that_does_not_turn_is_not_alive(served: Served) -> None:
    served.clock.now_s += HUNG_AFTER_S - 1
    served.detect.beat()
    assert served.get("/live")[0] == 200
    served.clock.now_s += 2
    status, body = served.get("/live")
    assert status == 503
    assert json.loads(body)["problems"] == {"sink": "its loop is hung"}
    served.sink.beat()
    assert served.get("/live")[0] == 200


def test_the_metrics_tell_which_service_is_ready(served: Served) -> None:
    served.detect.ready()
    status, body = served.get("/metrics")
    assert status == 200
    assert 'agegender_ready_bool{service="detect"} 1.0' in body
    assert 'agegender_ready_bool{service="sink"} 0.0' in body


@pytest.mark.parametrize("path", ["/", "/readyz", "/ready/", "/../etc/passwd"])
def test_every_other_path_is_not_found(served: Served, path: str) -> None:
    status, body = served.get(path)
    assert status == 404
    assert "/metrics, /live or /ready" in body


def test_a_query_changes_nothing(served: Served) -> None:
    assert served.get("/live?verbose=1")[0] == 200


def test_clients_that_say_nothing_keep_nobody_waiting(served: Served) -> None:
    with contextlib.ExitStack() as clients:
        for _ in range(20):
            clients.enter_context(socket.create_connection(("127.0.0.1", served.server.port), timeout=5))
        started_s = time.monotonic()
        assert served.get("/live")[0] == 200
        assert time.monotonic() - started_s < 3


def test_a_client_that_says_nothing_is_let_go_without_a_word(
    served: Served, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert 0 < health_module._QuietHandler.timeout <= 60
    monkeypatch.setattr(health_module._QuietHandler, "timeout", 0.1)
    with socket.create_connection(("127.0.0.1", served.server.port), timeout=5) as client:
        client.sendall(b"GET /li")
        assert client.recv(100) == b""
    assert capfd.readouterr() == ("", "")


def test_a_port_in_use_is_an_error_at_once(served: Served) -> None:
    with pytest.raises(
        SettingsError, match=rf"127\.0\.0\.1:{served.server.port}: .*in use.*AGEGENDER_HTTP_PORT"
    ):
        HealthServer([], served.metrics, "127.0.0.1", served.server.port)


def test_after_the_block_nobody_listens() -> None:
    with HealthServer([], Metrics(CollectorRegistry()), "127.0.0.1", 0) as server:
        socket.create_connection(("127.0.0.1", server.port), timeout=5).close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port), timeout=5)


def test_a_service_is_ready_and_alive_when_all_its_parts_are() -> None:
    clock = Clock()
    health = Health("ingest", Metrics(CollectorRegistry()), clock)
    health.ready()
    health.not_ready("Kafka: no answer", "publisher")
    health.ready()
    assert health.waiting_for == "Kafka: no answer"
    health.ready("publisher")
    assert health.waiting_for is None
    health.beat("publisher")
    clock.now_s += HUNG_AFTER_S
    health.beat()
    assert not health.is_live
    health.beat("publisher")
    assert health.is_live
