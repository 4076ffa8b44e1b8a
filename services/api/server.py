"""The API as a server in a thread of this process: alone, or beside the embedded pipeline."""

from __future__ import annotations

import logging
import socket
import threading
from types import TracebackType

import redis
import uvicorn

from agegender.services.api.app import create_app
from agegender.services.api.config import ApiSettings
from agegender.services.api.connection import Connection
from agegender.services.api.events import Hub
from agegender.services.api.routes import store_routes
from agegender.services.api.watcher import Watcher
from agegender.shared.errors import SettingsError
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.store import ResultStore, redis_errors_sorted
from agegender.shared.store.client import server_time_s

log = logging.getLogger(__name__)

_START_WITHIN_S = 10.0
_END_WITHIN_S = 5
_MORE_CONNECTIONS = 200  # besides those of the readers of events
_LONGEST_HEAD_BYTES = 32_768


class _Server(uvicorn.Server):
    """Ends the streams of events first: the server waits for open connections."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As the server's, which it extends."""
        self._hub.close()
        await super().shutdown(sockets)


class ApiServer:
    """Context manager: serves the API until the end of the block.

    Args:
        client: used from several threads at once.
        health: written by the server; ready while Redis answers.

    Raises:
        SettingsError: the port is taken, or the settings would open everything to the network.
    """

    def __init__(self, client: redis.Redis, settings: ApiSettings, metrics: Metrics, health: Health) -> None:
        settings.check_who_may_ask()
        self._settings = settings
        self._socket = _listening(settings.host, settings.port)
        self.port: int = self._socket.getsockname()[1]
        hub = Hub(settings.event_clients, metrics)
        store = ResultStore(client)

        def clock() -> float:
            # By which the store tells who is there now; ours may differ.
            with redis_errors_sorted():
                return server_time_s(client)

        self._watcher = Watcher(store, hub, health, clock)
        config = uvicorn.Config(
            create_app(
                store_routes(store, hub, clock, settings), settings, metrics, health, hub, self._watcher
            ),
            log_config=None,  # ours stay as they are
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            http=Connection,
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
        """Where a browser on this machine finds the page."""
        host = "127.0.0.1" if self._settings.host in ("0.0.0.0", "::", "") else self._settings.host  # noqa: S104
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}/"

    @property
    def running(self) -> bool:
        """False when it ended by itself, which its log explains."""
        return self._thread.is_alive() and not self._watcher.failed

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
    """A socket on which connections wait from now on; raises SettingsError."""
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
        raise SettingsError(
            f"cannot serve the API at {host}:{port}: {error.strerror}. "
            "Set API_PORT to another port, or to 0 for any"
        ) from None
    return listening
