"""What ended workers had counted, out of answers as Prometheus gives them."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from agegender.commands.audit.counters import CAPTURED, CAPTURED_SINCE, READY, SENT, STARTED
from agegender.commands.audit.prometheus import counters_with_history
from agegender.shared.errors import NotNow, SettingsError
from agegender.shared.process.health import Health, HealthServer
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.service import process_registry
from tests.support.ports import free_loopback_port

Series = Mapping[str, object]


def series(name: str, instance: str, values: Mapping[float, float], **labels: str) -> Series:
    """One of a range vector, as the HTTP API of Prometheus writes it."""
    metric = {"__name__": name, "job": "agegender", "instance": instance, **labels}
    return {"metric": metric, "values": [[at_s, str(value)] for at_s, value in values.items()]}


@contextlib.contextmanager
def prometheus(found: Sequence[Series], queries: list[str] | None = None) -> Iterator[str]:
    """Answers every query with these series; returns its address."""
    body = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": found}}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if queries is not None:
                queries.extend(parse_qs(urlsplit(self.path).query)["query"])
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def living() -> Iterator[tuple[str, float]]:
    """A worker of ingest that has captured 5 frames and sent 4; its address and when it started."""
    metrics = Metrics(process_registry())
    with HealthServer([Health("ingest", metrics)], metrics, "127.0.0.1", 0) as server:
        metrics.captured.labels("door").inc(5)
        metrics.sent.labels("ingest", "door", "frame").inc(4)
        yield f"127.0.0.1:{server.port}", metrics.total(STARTED)


def history(address: str, started_s: Mapping[float, float], sent: Mapping[float, float]) -> list[Series]:
    """By the time of the scrape: when the process that answered had started, and how much it had sent."""
    return [
        series(READY, address, dict.fromkeys(started_s, 1.0), service="ingest"),
        series(STARTED, address, started_s),
        series(CAPTURED, address, {at_s: number + 1 for at_s, number in sent.items()}, camera="door"),
        series(CAPTURED_SINCE, address, {at_s: started_s[at_s] + 1 for at_s in sent}, camera="door"),
        series(SENT, address, sent, service="ingest", camera="door", kind="frame"),
    ]


def test_counts_from_before_a_restart_are_added() -> None:
    queries: list[str] = []
    with living() as (address, started_s):
        found = history(
            address,
            {10.0: 3.0, 25.0: 3.0, 40.0: started_s, 55.0: started_s},
            {10.0: 20, 25.0: 32, 40.0: 1, 55.0: 2},
        )
        with prometheus(found, queries) as url:
            counters = counters_with_history(url, None, 300)
    assert counters.total(SENT, camera="door") == 32 + 4
    assert counters.total(CAPTURED, camera="door") == 33 + 5
    assert counters.unsure(SENT, camera="door") == 12, "as much as between two scrapes"
    assert counters.captured_since_s("door") == 4.0
    assert [worker.ended for worker in counters.of("ingest")] == [False, True]
    assert queries[0].endswith("[300s]")


def test_workers_that_are_gone_and_never_came_back_count_as_well() -> None:
    gone = f"127.0.0.1:{free_loopback_port()}"
    found = history(gone, {10.0: 3.0, 25.0: 3.0, 40.0: 30.0}, {10.0: 20, 25.0: 32, 40.0: 7})
    with prometheus(found) as url:
        counters = counters_with_history(url, None, 300)
    assert counters.total(SENT) == 39
    assert counters.unsure(SENT) == 12 + 7, "of a life that was seen once, nothing more is known"
    assert all(worker.ended for worker in counters.workers)


def test_other_processes_that_prometheus_watches_are_left_alone() -> None:
    with prometheus([series(STARTED, "127.0.0.1:9090", {10.0: 3.0})]) as url:
        assert counters_with_history(url, None, 300).workers == []


def test_workers_may_have_other_addresses_in_prometheus() -> None:
    with living() as (address, started_s):
        found = history("ingest.cameras:9101", {10.0: started_s, 25.0: started_s}, {10.0: 1, 25.0: 3})
        with prometheus(found) as url:
            counters = counters_with_history(url, [address], 300)
    assert counters.total(SENT) == 4, "the same process is not counted twice"


def test_no_prometheus_is_said_to_be_none() -> None:
    with pytest.raises(NotNow, match="no answer from Prometheus"):
        counters_with_history(f"http://127.0.0.1:{free_loopback_port()}", None, 300)
    with pytest.raises(SettingsError, match="expected http"):
        counters_with_history("prometheus:9090", None, 300)
    with living() as (address, _), pytest.raises(SettingsError, match="is no Prometheus"):
        counters_with_history(f"http://{address}", None, 300)
