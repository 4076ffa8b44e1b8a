"""Liveness, readiness and metrics over HTTP: `/live`, `/ready` and `/metrics`."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from types import TracebackType
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from agegender.shared.errors import PortTaken, SettingsError
from agegender.shared.process.metrics import Metrics

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

_POLL_S = 0.1  # the server delays the end of the process by this much at most

CLIENT_WITHIN_S = 10.0
"""A client that is too slow to be answered within this time is disconnected."""
MOST_CLIENTS = 50
"""The most clients at a time."""

HUNG_AFTER_S = 60.0
"""A loop without a turn for this long is hung, and an orchestrator should restart the process."""

LOOP = "loop"
"""The part of a service that its main loop is."""


class Health:
    """The health of one service. Written by its threads, read by the HTTP thread.

    Most services have one thread, the loop. Where another thread does a part of the work, it passes the name
    of its part. The service is ready when all parts are, and alive while all parts have turned recently.
    """

    def __init__(self, service: str, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self.service = service
        self._clock = clock
        self._lock = threading.Lock()
        self._beat_at_s = {LOOP: clock()}
        self._waiting_for = {LOOP: "starting"}
        self._gauge = metrics.ready.labels(service)
        self._gauge.set(0)

    def beat(self, part: str = LOOP) -> None:
        """Records a turn of the loop of a part."""
        with self._lock:
            self._beat_at_s[part] = self._clock()

    def ready(self, part: str = LOOP) -> None:
        """Marks a part as ready: every server that it needs answers."""
        with self._lock:
            self._waiting_for.pop(part, None)
            self._gauge.set(not self._waiting_for)

    def not_ready(self, why: str, part: str = LOOP) -> None:
        """Marks a part, and so the service, as not ready; `why` is shown at `/ready`."""
        with self._lock:
            self._waiting_for[part] = why
            self._gauge.set(0)

    @property
    def waiting_for(self) -> str | None:
        """Why the service is not ready; None when it is."""
        with self._lock:
            return next(iter(self._waiting_for.values()), None)

    @property
    def is_live(self) -> bool:
        """Whether the loop of each part turned recently."""
        with self._lock:
            return self._clock() - min(self._beat_at_s.values()) < HUNG_AFTER_S


class _Server(ThreadingMixIn, WSGIServer):
    """One thread per client. The number of clients and the time of each are limited."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        self._since_s: dict[socket.socket, float] = {}
        super().__init__(*args, **kwargs)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Accepts a client; above the limit, the oldest client is disconnected."""
        if len(self._since_s) >= MOST_CLIENTS:
            self._disconnect(next(iter(self._since_s.copy())))
        self._since_s[request] = time.monotonic()
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        """Forgets a client that is finished."""
        self._since_s.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Disconnects clients that send a few bytes now and then."""
        until_s = time.monotonic() - CLIENT_WITHIN_S
        for client, since_s in self._since_s.copy().items():
            if since_s < until_s:
                self._disconnect(client)

    def _disconnect(self, client: socket.socket) -> None:
        """Ends the connection, so that its thread ends at once."""
        self._since_s.pop(client, None)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002
        """Logs a client that sends nothing or disconnects, as a matter of the client alone."""
        log.debug("a client of the health server failed", exc_info=True, extra={"client": client_address})


class _QuietHandler(WSGIRequestHandler):
    timeout = 5  # seconds without a byte from the client

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401
        """Logs nothing: probes come every few seconds."""


class HealthServer:
    """Serves the health of the services of this process until it is closed."""

    def __init__(self, healths: Iterable[Health], metrics: Metrics, host: str, port: int) -> None:
        self._healths = tuple(healths)
        self._metrics_app: WSGIApplication = make_wsgi_app(metrics.registry)
        try:
            self._server: WSGIServer = make_server(
                host, port, self._answer, server_class=_Server, handler_class=_QuietHandler
            )
        except OSError as error:
            problem = PortTaken if error.errno == errno.EADDRINUSE else SettingsError
            raise problem(
                f"cannot serve metrics and health at {host}:{port}: {error.strerror}. "
                "Set AGEGENDER_HTTP_PORT to another port, or to 0 for any"
            ) from None
        self.port: int = self._server.server_port
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name="health", daemon=True
        )

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "/")
        if path == "/metrics":
            return self._metrics_app(environ, start_response)
        if path == "/live":
            problems = {h.service: "its loop is hung" for h in self._healths if not h.is_live}
        elif path == "/ready":
            problems = {h.service: h.waiting_for for h in self._healths if h.waiting_for is not None}
        else:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [b"try /metrics, /live or /ready\n"]
        body = json.dumps({"ok": not problems, "problems": problems}).encode() + b"\n"
        status = "503 Service Unavailable" if problems else "200 OK"
        start_response(status, [("Content-Type", "application/json")])
        return [body]

    def __enter__(self) -> HealthServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
