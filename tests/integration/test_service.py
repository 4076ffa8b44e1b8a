"""A service as an orchestrator sees it: signals in, an exit status out."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.waiting import wait_until

_ROOT = Path(__file__).parents[4]
_CHILD = """
import sys, threading
from agegender.shared.errors import SettingsError
from agegender.shared.runtime.service import serve

class Patient:
    def run(self, stop):
        health.ready()
        stop.wait()

class Failing:
    def run(self, stop):
        raise ValueError("no bread at rtsp://cook:sesame@oven/1")

class Deaf:
    def run(self, stop):
        threading.Event().wait()

def build(metrics, its_health):
    global health
    health = its_health
    if sys.argv[1] == "Unset":
        raise SettingsError("OVEN_URL: cannot use redis://:sesame@oven")
    return globals()[sys.argv[1]]()

sys.exit(serve("oven", 0, build))
"""


class Child:
    """One service in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def next_line(self) -> dict[str, Any]:
        assert self.process.stderr is not None
        line = json.loads(self.process.stderr.readline())
        assert isinstance(line, dict)
        return line

    def end(self) -> tuple[int, str]:
        """The exit status and what is left of the log."""
        assert self.process.stderr is not None
        rest = self.process.stderr.read()
        return self.process.wait(timeout=20), rest


@contextlib.contextmanager
def service(kind: str, **environ: str) -> Iterator[Child]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AGEGENDER_")}
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, kind],
        cwd=_ROOT,
        env={**kept, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Child(process)
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_service_with_status_0(number: signal.Signals) -> None:
    with service("Patient") as child:
        assert child.next_line()["event"] == "starting"
        child.process.send_signal(number)
        status, log = child.end()
    assert status == 0
    assert json.loads(log)["event"] == "stopped"


def test_a_running_service_answers_probes_and_exports_metrics() -> None:
    with service("Patient", AGEGENDER_HTTP_PORT="0") as child:
        port = child.next_line()["http_port"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/live", timeout=5) as answer:
            assert answer.status == 200
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            assert "process_resident_memory_bytes" in answer.read().decode()


def test_a_second_signal_ends_a_service_that_does_not_listen() -> None:
    with service("Deaf") as child:
        child.next_line()
        child.process.terminate()
        with pytest.raises(subprocess.TimeoutExpired):
            child.process.wait(timeout=0.3)

        def ended_by_another() -> bool:
            # Again and again: one that comes before the first is handled is the same as the first.
            child.process.terminate()
            return child.process.poll() is not None

        wait_until(ended_by_another, 10, "a later signal ends the service")
        assert child.process.returncode == -signal.SIGTERM


def test_a_failure_is_status_1_and_one_line_without_the_password() -> None:
    with service("Failing") as child:
        child.next_line()
        status, log = child.end()
    entry = json.loads(log)
    assert status == 1
    assert (entry["level"], entry["event"]) == ("critical", "failed")
    assert entry["reason"] == "no bread at rtsp://***@oven/1"
    assert "Traceback" in entry["exception"]
    assert "sesame" not in log


def test_a_wrong_setting_is_status_2_before_anything_starts() -> None:
    with service("Patient", AGEGENDER_LOG_LEVEL="loud", AGEGENDER_HTTP_PROT="1") as child:
        status, log = child.end()
    assert status == 2
    (line,) = log.splitlines()
    assert line.startswith(
        "agegender oven: AGEGENDER_HTTP_PROT is unknown: did you mean AGEGENDER_HTTP_PORT?; "
    )
    assert "AGEGENDER_LOG_LEVEL: " in line
    assert "'loud'" in line


def test_a_wrong_setting_is_reported_without_its_password() -> None:
    with service("Unset") as child:
        assert child.end() == (2, "agegender oven: OVEN_URL: cannot use redis://***@oven\n")


def test_a_port_in_use_is_status_2() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with service("Patient", AGEGENDER_HTTP_PORT=port) as child:
            status, log = child.end()
    assert status == 2
    assert "in use" in log
