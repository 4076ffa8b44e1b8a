"""The counters of workers as an audit asks for them, over HTTP from real servers of metrics."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from typer.testing import CliRunner

from agegender.cli import app
from agegender.commands.audit.counters import CAPTURED, DROPPED, SENT, scrape, scrape_those_that_answer
from agegender.commands.audit.one_process import balances_of_one_process
from agegender.commands.audit.reconciliation import Amount, Balance
from agegender.commands.audit.report import Report
from agegender.commands.audit.run import settled
from agegender.shared.errors import NotNow, SettingsError
from agegender.shared.process.health import Health, HealthServer
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.service import process_registry
from tests.support.ports import free_loopback_port


@contextlib.contextmanager
def worker(*services: str) -> Iterator[tuple[Metrics, str]]:
    """The metrics of one process, and where they are served."""
    metrics = Metrics(process_registry())
    healths = [Health(service, metrics) for service in services]
    with HealthServer(healths, metrics, "127.0.0.1", 0) as server:
        yield metrics, f"127.0.0.1:{server.port}"


def test_the_counters_of_all_workers_are_summed() -> None:
    with worker("ingest") as (one, first), worker("ingest") as (other, second), worker("sink") as (_, third):
        for metrics, number in ((one, 3), (other, 4)):
            metrics.captured.labels("door").inc(number)
            metrics.sent.labels("ingest", "door", "frame").inc(number - 1)
            metrics.dropped.labels("ingest", "door", "busy").inc()
        counters = scrape([first, f"http://{second}", f"http://{third}/metrics"])
    assert counters.total(CAPTURED, camera="door") == 7
    assert counters.total(SENT, service="ingest") == 5
    assert counters.by_label(DROPPED, "reason", camera="door") == {"busy": 2}
    assert counters.cameras == {"door"}
    assert [len(counters.of(service)) for service in ("ingest", "sink", "detect")] == [2, 1, 0]
    assert not counters.one_process


def test_counters_tell_since_when_they_count() -> None:
    with worker("detect") as (metrics, address):
        metrics.captured.labels("door").inc()
        counters = scrape([address])
    (process,) = counters.workers
    assert process.started_at_s is not None
    assert counters.complete_since_s("detect") == process.started_at_s
    since_s = counters.captured_since_s("door")
    assert since_s is not None
    assert since_s > process.started_at_s
    assert counters.complete_since_s("sink") is None
    assert counters.captured_since_s("hall") is None


def test_a_worker_that_was_named_and_does_not_answer_is_an_error() -> None:
    with pytest.raises(NotNow, match="no answer from"):
        scrape([f"127.0.0.1:{free_loopback_port()}"])
    assert scrape_those_that_answer([f"127.0.0.1:{free_loopback_port()}"]).workers == []


def test_workers_are_asked_at_the_same_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        server.settimeout(20)
        answered = pool.submit(_answer_once_two_have_asked, server)
        counters = scrape_those_that_answer([f"127.0.0.1:{server.getsockname()[1]}"] * 2)
        answered.result()
    assert len(counters.workers) == 2


def _answer_once_two_have_asked(server: socket.socket) -> None:
    with server.accept()[0] as first, server.accept()[0] as second:
        for caller in (first, second):
            caller.recv(4096)
            caller.sendall(b"HTTP/1.0 200 OK\r\n\r\n")


def test_what_serves_no_metrics_is_an_error() -> None:
    with worker("ingest") as (_, address), pytest.raises(SettingsError, match="404"):
        scrape([f"http://{address}/elsewhere"])
    with pytest.raises(SettingsError, match="expected http"):
        scrape(["file:///etc/hostname"])


@pytest.fixture
def whole() -> Iterator[tuple[Metrics, str]]:
    """`agegender run` after it has worked a while, with two frames and a face on their way."""
    with worker("ingest", "detect", "classify", "sink") as (metrics, address):
        metrics.captured.labels("door").inc(20)
        metrics.dropped.labels("ingest", "door", "busy").inc(3)
        metrics.sent.labels("ingest", "door", "frame").inc(17)
        metrics.received.labels("detect", "door", "frame").inc(15)
        metrics.sent.labels("detect", "door", "face").inc(12)
        metrics.skipped.labels("door", "enough").inc(2)
        metrics.received.labels("classify", "door", "face").inc(11)
        metrics.bad.labels("classify").inc()
        metrics.sent.labels("classify", "door", "result").inc(10)
        metrics.received.labels("sink", "door", "result").inc(10)
        metrics.results.labels("female", "30-39").inc(9)
        metrics.repeats.labels("door").inc()
        yield metrics, address


def test_a_run_in_one_process_is_audited_by_its_metrics_alone(whole: tuple[Metrics, str]) -> None:
    metrics, address = whole
    done = CliRunner().invoke(app, ["audit", "--metrics", address, "--json"])
    assert done.exit_code == 0, done.stdout
    report: dict[str, Any] = json.loads(done.stdout)
    assert (report["balanced"], report["differences"]) == (True, [])
    waiting = [
        p["count"] for one in report["cameras"]["door"] for p in one["parts"] if p["name"] == "waiting"
    ]
    assert waiting == [2, 1, 0]

    metrics.captured.labels("door").inc(5)
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["audit", "--metrics", address])
    assert done.exit_code == 1
    assert "3 frames of camera door were captured and neither published nor dropped" in done.stdout
    assert "--prometheus adds them" in done.stdout


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        (("detect", "door", "frame"), "1 frame of camera door was received by detect and never published"),
        (("classify", "door", "face"), "3 faces were received and neither classified nor dead-lettered"),
        (("sink", "door", "result"), "3 results were received and neither written nor repeated"),
    ],
)
def test_what_is_received_too_often_in_one_process_is_named(
    whole: tuple[Metrics, str], labels: tuple[str, str, str], says: str
) -> None:
    metrics, address = whole
    metrics.received.labels(*labels).inc(3)
    assert says in Report(balances_of_one_process(scrape([address]))).differences


def _report(missing: int) -> Report:
    return Report([Balance("door", "frame", Amount("all", missing, ""), [], lost="lost", extra="extra")])


def test_a_difference_that_is_gone_at_the_next_look_is_none() -> None:
    looks = iter([_report(1), _report(0)])
    assert settled(lambda: next(looks), pause_s=0).balanced
    looks = iter([_report(3), _report(2), _report(1)])
    assert settled(lambda: next(looks), looks=3, pause_s=0).differences == ["1 frame of camera door was lost"]


@pytest.mark.parametrize("since", ["soon", "1h", "2100-01-01"])
def test_a_window_that_kafka_does_not_keep_is_refused(since: str) -> None:
    with worker("ingest") as (_, address):
        done = CliRunner().invoke(app, ["audit", "--metrics", address, "--since", since])
    assert isinstance(done.exception, SettingsError)
    assert "--since" in str(done.exception)
