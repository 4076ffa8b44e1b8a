"""A real Prometheus on this machine, asked over HTTP."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agegender.shared.store.server_process import ServerProcess
from tests.support.deploy_tools import check, program
from tests.support.ports import free_loopback_port
from tests.support.waiting import wait_until

_WHERE_FROM = "Debian: apt-get install prometheus"
_START_WITHIN_S = 30.0
_ANSWER_WITHIN_S = 20.0


def promtool(*arguments: str | Path) -> str:
    """What promtool says; the test fails where it finds something wrong, and is skipped without it."""
    return check(program("promtool", where_from=_WHERE_FROM), *arguments)


class QueryError(ValueError):
    """Prometheus does not understand the expression."""


@dataclass(frozen=True)
class Prometheus:
    """One that runs at `host:port`."""

    address: str

    @property
    def url(self) -> str:
        """Where others find it."""
        return f"http://{self.address}"

    def query(self, expr: str) -> list[dict[str, Any]]:
        """What an expression is now: a list of `{"metric": labels, "value": [time, text]}`."""
        body = urllib.parse.urlencode({"query": expr}).encode()
        try:
            with urllib.request.urlopen(
                f"http://{self.address}/api/v1/query", body, timeout=_ANSWER_WITHIN_S
            ) as answer:
                data: dict[str, Any] = json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise QueryError(f"{expr}: {json.load(error)['error']}") from None
        found = data["result"]
        return found if data["resultType"] == "vector" else [{"metric": {}, "value": found}]

    def labels(self, expr: str, label: str) -> set[str]:
        """The values that a label has in the answer."""
        return {one["metric"].get(label, "") for one in self.query(expr)}


@contextlib.contextmanager
def running_prometheus(config: Mapping[str, Any], folder: Path) -> Iterator[Prometheus]:
    """Runs until the end of the block, with its data in `folder`/data, where blocks may lie already.

    `OWN_ADDRESS` in the settings becomes its own address.
    """
    server_program = program("prometheus", where_from=_WHERE_FROM)
    address = f"127.0.0.1:{free_loopback_port()}"
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(dict(config)).replace("OWN_ADDRESS", address))
    options = (
        f"--config.file={path}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
    )
    server = ServerProcess([server_program, *options], log_path=folder / "prometheus.log")
    server.start()
    try:
        prometheus = Prometheus(address)
        wait_until(lambda: _answers(prometheus), _START_WITHIN_S, f"Prometheus answers: {server.log_tail()}")
        yield prometheus
    finally:
        server.kill()


def _answers(prometheus: Prometheus) -> bool:
    try:
        with urllib.request.urlopen(f"http://{prometheus.address}/-/ready", timeout=1):
            return True
    except OSError:
        return False


def write_history(samples: str, folder: Path) -> None:
    """Puts samples of the past, in the text format of OpenMetrics, into the data of a Prometheus to come."""
    source = folder / "history.txt"
    source.write_text(samples)
    promtool("tsdb", "create-blocks-from", "openmetrics", source, folder / "data")
