"""The API as a server in a thread of this process, alone or beside the embedded pipeline."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import threading
from types import TracebackType

import h11
import redis
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from agegender.services.api.app import create_app
from agegender.services.api.config import ApiSettings
from agegender.services.api.events import Hub
from agegender.services.api.routes import store_routes
from agegender.services.api.watcher import StoreWatcher
from agegender.shared.errors import PortTaken, SettingsError
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.store import ResultStore, redis_errors_sorted
from agegender.shared.store.client import server_time_s

log = logging.getLogger(__name__)

_START_WITHIN_S = 10.0
_END_WITHIN_S = 5
_MORE_CONNECTIONS = 200  # besides those that read events
_LONGEST_HEAD_BYTES = 32_768
_REQUEST_WITHIN_S = 10.0  # for the head of a request
_READ_WITHIN_S = 30.0  # for a client to read what it is sent


class _Connection(H11Protocol):
    """Adds time limits to uvicorn's connection.

    Without them uvicorn waits for ever for the end of a request's head, and for a client to read. A few
    hundred such clients would use up all connections. And bytes that are not HTTP would make it log an error.
    """

    _request_timer: asyncio.TimerHandle | None = None
    _read_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Starts the time limit."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Updates the time limit."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Starts the time limit of the next request."""
        super().on_response_complete()
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Answers bytes that are not HTTP, unless an answer has already begun."""
        if self.cycle is not None:
            self.cycle.disconnected = True
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.abort()

    def pause_writing(self) -> None:
        """The client does not read: starts its time limit."""
        super().pause_writing()
        self._read_timer = self.loop.call_later(_READ_WITHIN_S, self.transport.abort)

    def resume_writing(self) -> None:
        """The client reads again."""
        _cancel(self._read_timer)
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: ends the time limits."""
        _cancel(self._request_timer)
        _cancel(self._read_timer)
        super().connection_lost(exc)

    def _watch(self) -> None:
        """The time limit runs until the head is complete, even while parts of it arrive."""
        if self.conn.their_state is not h11.IDLE or self.transport.is_closing():
            _cancel(self._request_timer)
            self._request_timer = None
        elif self._request_timer is None:
            self._request_timer = self.loop.call_later(_REQUEST_WITHIN_S, self.transport.abort)


class _Server(uvicorn.Server):
    """Ends the streams of events first, because uvicorn waits for open connections."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the streams, then the server."""
        self._hub.close()
        await super().shutdown(sockets)


class ApiServer:
    """Context manager: serves the API until the end of the block.

    Args:
        client: used from several threads at once.
        health: set by the server; ready while Redis answers.

    Raises:
        PortTaken: another program listens there.
        SettingsError: the address is wrong, or the settings would open the API to the network without a
            token.
    """

    def __init__(self, client: redis.Redis, settings: ApiSettings, metrics: Metrics, health: Health) -> None:
        settings.check_access()
        self._settings = settings
        self._socket = _listening(settings.host, settings.port)
        self.port: int = self._socket.getsockname()[1]
        hub = Hub(settings.event_clients, metrics)
        store = ResultStore(client)

        def clock() -> float:
            # The clock of the store, because the clock of this machine may differ.
            with redis_errors_sorted(client):
                return server_time_s(client)

        self._watcher = StoreWatcher(store, hub, health, clock)
        config = uvicorn.Config(
            create_app(
                store_routes(store, hub, clock, settings), settings, metrics, health, hub, self._watcher
            ),
            log_config=None,  # keep the logging of the process
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            http=_Connection,
            ws="none",
            lifespan="on",
            limit_concurrency=settings.event_clients + _MORE_CONNECTIONS,
            timeout_graceful_shutdown=_END_WITHIN_S,
            h11_max_incomplete_event_size=_LONGEST_HEAD_BYTES,
        )
        self._server = _Server(config, hub)
        self._thread = threading.Thread(target=self._run, name="api", daemon=True)

    @property
    def url(self) -> str:
        """The address of the page for a browser on this machine."""
        host = "127.0.0.1" if self._settings.host in ("0.0.0.0", "::", "") else self._settings.host  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    @property
    def running(self) -> bool:
        """False if it has failed; its log has the reason."""
        return self._thread.is_alive() and self._watcher.error is None

    @property
    def has_bad_settings(self) -> bool:
        """Whether it failed because of a setting."""
        return isinstance(self._watcher.error, SettingsError)

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._socket])
        except Exception:
            log.critical("failed", extra={"service": "api"}, exc_info=True)

    def __enter__(self) -> ApiServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()


def _listening(host: str, port: int) -> socket.socket:
    """A listening socket; raises SettingsError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise SettingsError(f"API_HOST={host}: {error.strerror or error}") from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        problem = PortTaken if error.errno == errno.EADDRINUSE else SettingsError
        raise problem(
            f"cannot serve the API at {host}:{port}: {error.strerror}. "
            "Set API_PORT to another port, or to 0 for any"
        ) from None
    return listening


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
