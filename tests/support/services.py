"""The services as an operator runs them: one process each, talked to by HTTP and by signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.support.waiting import wait_until

_ROOT = Path(__file__).parents[2]
_STOP_TIMEOUT_S = 30.0


class Service:
    """`python -m services.NAME` with settings of its own and nothing of ours from the outer environment.

    Args:
        folder: holds the log.
        home: where it works, and finds its home and its temporary folder; None: where we work and find ours.
        worker: what it and its log are called where there are several of a service.
        program: the words after `python -m`; None: the service itself.
        python: the Python of another environment, which then sees nothing of the checkout; None: ours.
    """

    def __init__(
        self,
        name: str,
        settings: Mapping[str, str],
        folder: Path,
        *,
        home: Path | None = None,
        worker: str | None = None,
        program: Sequence[str] | None = None,
        python: Path | None = None,
    ) -> None:
        self.service = name
        self._python = Path(sys.executable) if python is None else python
        self._program = [f"services.{name}"] if program is None else program
        self.name = name if worker is None else worker
        self.log_path = folder / f"{self.name}.log"
        ours = ("AGEGENDER_", "KAFKA_", "REDIS_", "INGEST_", "DETECT_", "CLASSIFY_", "SINK_", "API_")
        outer = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
        self._environment = {**outer, **settings, "AGEGENDER_HTTP_PORT": "0"}
        self._home = _ROOT if home is None else home
        if home is not None:
            homes = dict.fromkeys(("HOME", "TMPDIR", "XDG_STATE_HOME", "XDG_CACHE_HOME"), str(home))
            self._environment |= homes
            if python is None:
                self._environment["PYTHONPATH"] = str(_ROOT)
        self._process: subprocess.Popen[bytes] | None = None

    def change(self, **settings: str) -> None:
        """Other settings, from its next start on."""
        self._environment |= settings

    def start(self) -> Service:
        """Starts the process without waiting for anything."""
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [self._python, "-m", *self._program],
                cwd=self._home,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    @property
    def port(self) -> int:
        """The port that the running process was given, as its log says; 0 before it says so."""
        ports = [event["http_port"] for event in self.log_events() if event["event"] == "starting"]
        return int(str(ports[-1])) if ports else 0

    @property
    def pid(self) -> int:
        """Process id of the running process."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the process."""
        assert self._process is not None
        self._process.send_signal(number)

    def stop(self) -> int:
        """Asks the process to end, as an orchestrator does, and returns its exit status."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(_STOP_TIMEOUT_S)

    def close(self) -> None:
        """Ends the process in any state."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """Ends the process at once, as a crash does (SIGKILL)."""
        self.signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait(_STOP_TIMEOUT_S)

    def freeze(self) -> None:
        """Halts the process (SIGSTOP)."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets the frozen process go on (SIGCONT)."""
        self.signal(signal.SIGCONT)

    def wait(self, timeout_s: float) -> int:
        """Waits for the end of the process and returns its exit status."""
        assert self._process is not None
        return self._process.wait(timeout_s)

    @property
    def live(self) -> bool:
        """Whether /live says that the process need not be restarted."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/live", timeout=5):
                return True
        except OSError:
            return False

    def readiness(self) -> tuple[bool, str]:
        """Whether the service is ready, and what it says of it; not ready while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/ready", timeout=5) as answer:
                return True, answer.read().decode()
        except urllib.error.HTTPError as error:
            return False, error.read().decode()
        except OSError as error:
            return False, str(error)

    def wait_until_ready(self, timeout_s: float = 60.0) -> Service:
        """Waits until /ready says so; fails with the end of the log when the process ends instead."""
        wait_until(lambda: not self.running or self.readiness()[0], timeout_s, f"{self.name} is ready")
        assert self.running, f"{self.name} ended:\n{self.log_text()[-3000:]}"
        return self

    def page(self, path: str) -> str:
        """The text at `path` of its HTTP server, for any status of the answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of the samples of this name with at least these `labels`."""
        return sum(value for value, _ in self._samples(name, labels))

    def by_label(self, name: str, label: str, **labels: str) -> dict[str, int]:
        """The samples of this name with at least these `labels`, by the value of `label`."""
        found: Counter[str] = Counter()
        for value, of in self._samples(name, labels):
            found[of[label]] += round(value)
        return dict(found)

    def _samples(self, name: str, labels: Mapping[str, str]) -> list[tuple[float, Mapping[str, str]]]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        return [
            (sample.value, sample.labels)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]

    def log_text(self) -> str:
        """All that the process has printed."""
        return self.log_path.read_text()

    def log_events(self) -> list[dict[str, object]]:
        """The log lines that are JSON."""
        return [json.loads(line) for line in self.log_text().splitlines() if line.startswith("{")]
