"""A real Prometheus remembers what a worker had counted that was killed."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from agegender.commands.audit.counters import SENT, scrape_those_that_answer
from agegender.commands.audit.prometheus import counters_with_history
from agegender.shared.errors import NotNow, SettingsError
from tests.support.ports import free_loopback_port
from tests.support.waiting import wait_until

_WORKER = """
import sys, time
from agegender.shared.process.health import Health, HealthServer
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.service import process_registry
metrics = Metrics(process_registry())
metrics.captured.labels("door").inc(int(sys.argv[2]))
metrics.sent.labels("ingest", "door", "frame").inc(int(sys.argv[2]))
with HealthServer([Health("ingest", metrics)], metrics, "127.0.0.1", int(sys.argv[1])):
    time.sleep(600)
"""


@contextlib.contextmanager
def process(*command: str, folder: Path) -> Iterator[None]:
    running = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        running.kill()
        running.wait()


@contextlib.contextmanager
def worker(port: int, sent: int) -> Iterator[None]:
    """A worker that has sent so many frames; killed at the end, as by a crash."""
    with process(sys.executable, "-c", _WORKER, str(port), str(sent), folder=Path(__file__).parents[2]):
        address = f"127.0.0.1:{port}"
        wait_until(lambda: scrape_those_that_answer([address]).workers, 30, "the worker answers")
        yield


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """The address of a Prometheus, and the port at which it looks for a worker every second."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("the program prometheus is not installed")
    worker_port, port = free_loopback_port(), free_loopback_port()
    # As in deploy/prometheus/prometheus.yml.
    targets = [{"targets": [f"127.0.0.1:{worker_port}"], "labels": {"service": "ingest"}}]
    job = {
        "job_name": "agegender",
        "scrape_interval": "1s",
        "honor_labels": True,
        "static_configs": targets,
    }
    config = tmp_path / "prometheus.yml"
    config.write_text(yaml.safe_dump({"scrape_configs": [job]}))
    options = (f"--config.file={config}", f"--storage.tsdb.path={tmp_path / 'data'}")
    with process(program, *options, f"--web.listen-address=127.0.0.1:{port}", folder=tmp_path):
        yield f"http://127.0.0.1:{port}", worker_port


def test_counts_of_a_killed_worker_and_its_successor_are_added(ports: tuple[str, int]) -> None:
    url, port = ports

    def remembered() -> int:
        with contextlib.suppress(NotNow, SettingsError):
            return counters_with_history(url, [], 300).total(SENT, camera="door")
        return 0

    with worker(port, 30):
        wait_until(lambda: remembered() == 30, 30, "Prometheus has seen the first worker")
    with worker(port, 4):
        wait_until(lambda: remembered() == 34, 30, "Prometheus has seen the second worker")
        counters = counters_with_history(url, None, 300)
    assert counters.total(SENT, camera="door") == 34
    assert [one.ended for one in counters.workers] == [False, True]
