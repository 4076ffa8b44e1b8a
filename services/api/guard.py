"""The checks of every request (method, host, token, sizes) and the headers of every answer."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import re
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

from agegender.services.api.config import ApiSettings
from agegender.services.api.problems import problem
from agegender.shared.process.metrics import Metrics

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

OPEN_PATHS = frozenset({"/", "/live", "/ready", "/openapi.json"})
"""These paths, and all below `OPEN_PREFIX`, need no token, because they hold no data about people."""
OPEN_PREFIX = "/page/"

_LONGEST_QUERY_BYTES = 8_192

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """Middleware that refuses bad requests before the application sees them."""

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app = app
        self._settings = settings
        token = settings.token
        self._token_digest = _digest(token.get_secret_value().encode()) if token is not None else None
        self._only_local_names = settings.is_local and token is None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuses the request, or passes it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await (refusal or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if scope["method"] != "GET":
            return problem(
                HTTPStatus.METHOD_NOT_ALLOWED,
                f"Expected GET, got {scope['method'][:20]}.",
                "The API only reads. Configure cameras with the pipeline.",
                {"Allow": "GET"},
            )
        if self._only_local_names and not _is_local_name(headers.get("host", "")):
            # Against DNS rebinding: a web page could point its own name at this machine and read the answers.
            # Starlette's TrustedHostMiddleware would answer with plain text and without a hint.
            return problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                "Without a token the API answers only as localhost, 127.0.0.1 or [::1].",
                "Use one of these names in the URL, or set API_TOKEN.",
            )
        if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
            return problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "Expected a request without a body, got one with a body.",
                "Put parameters into the query of the URL.",
                {"Connection": "close"},
            )
        if len(scope["query_string"]) > _LONGEST_QUERY_BYTES:
            return problem(
                HTTPStatus.REQUEST_URI_TOO_LONG,
                f"Expected at most {_LONGEST_QUERY_BYTES} bytes of query, got {len(scope['query_string'])}.",
                "Request fewer cameras at a time.",
            )
        if not self._is_authorized(scope["path"], headers.get("authorization")):
            return problem(
                HTTPStatus.UNAUTHORIZED,
                "Expected the header 'Authorization: Bearer TOKEN' with the API's token; "
                + ("got another token." if "authorization" in headers else "got none."),
                "The token is in API_TOKEN, or in the file API_TOKEN_FILE, on the machine of the API.",
                {"WWW-Authenticate": 'Bearer realm="agegender"'},
            )
        return None

    def _is_authorized(self, path: str, authorization: str | None) -> bool:
        if self._token_digest is None or path in OPEN_PATHS or path.startswith(OPEN_PREFIX):
            return True
        scheme, _, token = (authorization or "").partition(" ")
        # Digests, so that the time of the comparison reveals neither content nor length.
        sent = _digest(token.strip().encode("latin-1"))
        return hmac.compare_digest(sent, self._token_digest) and scheme.lower() == "bearer"


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _is_local_name(host: str) -> bool:
    name = re.sub(r":\d*$", "", host).lower()
    try:
        return name == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


class RequestMetrics:
    """Middleware that counts and times requests by the template of their route, never by their path."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started_s = time.perf_counter()

        async def send_and_look(message: Message) -> None:
            if message["type"] == "http.response.start":
                status: int = message["status"]
                seconds = time.perf_counter() - started_s
                route = _route(scope)
                self._metrics.requests.labels(route, str(status)).inc()
                self._metrics.request_seconds.labels(route).observe(seconds)
                # Without path and query, because they may hold ids of tracks.
                log.debug("request", extra={"route": route, "status": status, "seconds": round(seconds, 4)})
            await send(message)

        await self._app(scope, receive, send_and_look)


def _route(scope: Scope) -> str:
    """The template of the route that answered, for example `/v1/visits/{camera_id}/{track_id}`."""
    return getattr(scope.get("route"), "path", None) or "none"
