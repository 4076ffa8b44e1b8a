"""The API as a program on the network sees it: a real server, and a small client."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlencode

from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from agegender.services.api.config import ApiSettings
from agegender.services.api.server import ApiServer
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import RedisSettings
from agegender.shared.store import connect

TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401
        """The body, which is JSON."""
        return json.loads(self.body)


class SentEvent(NamedTuple):
    """One server-sent event."""

    kind: str
    data: Any
    event_id: str | None


class ApiClient:
    """Asks an API on this machine."""

    def __init__(self, port: int, token: str | None = None) -> None:
        self.port = port
        self.token = token

    def get(
        self, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, **query: object
    ) -> Answer:
        """One request; values of `query` may be lists."""
        address = path + (f"?{urlencode(query, doseq=True)}" if query else "")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request(method, address, headers=self._headers(headers))
            answer = connection.getresponse()
            return Answer(
                answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
            )

    @contextlib.contextmanager
    def events(self, *, last_event_id: str | None = None, **query: object) -> Iterator[Iterator[SentEvent]]:
        """The stream of events, until the end of the block; each is waited for at most `TIMEOUT_S`."""
        address = "/v1/events" + (f"?{urlencode(query, doseq=True)}" if query else "")
        headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request("GET", address, headers=self._headers(headers))
            answer = connection.getresponse()
            if answer.status != 200:
                raise ConnectionRefusedError(f"{answer.status}: {answer.read().decode()}")
            with contextlib.closing(answer):
                yield _parsed(answer)

    def _headers(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        token = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        return {**token, **(headers or {})}


def _parsed(answer: http.client.HTTPResponse) -> Iterator[SentEvent]:
    fields: dict[str, str] = {}
    for raw in answer:
        line = raw.decode().rstrip("\n")
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        else:
            if "data" in fields:
                yield SentEvent(fields["event"], json.loads(fields["data"]), fields.get("id"))
            fields = {}


@contextlib.contextmanager
def running_api(redis_url: str, *, token: str | None = None, **settings: Any) -> Iterator[ApiClient]:  # noqa: ANN401
    """The API over the store at `redis_url`, on a free port, in a thread."""
    metrics = Metrics(CollectorRegistry())
    chosen = ApiSettings(port=0, token=None if token is None else SecretStr(token), **settings)
    with (
        connect(RedisSettings(timeout_s=1.0).at(redis_url)) as client,
        ApiServer(client, chosen, metrics, Health("api", metrics)) as server,
    ):
        yield ApiClient(server.port, token)
