"""RTSP 1.0 on the wire (RFC 2326): requests in, responses out."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

MOST_BODY_BYTES = 65_536

_REASONS = {
    200: "OK",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    410: "Gone",
    451: "Parameter Not Understood",
    453: "Not Enough Bandwidth",
    454: "Session Not Found",
    455: "Method Not Valid in This State",
    461: "Unsupported Transport",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
}


@dataclass(frozen=True)
class Request:
    """One request. Names of headers are in lower case."""

    method: str
    url: str
    headers: dict[str, str]

    @property
    def camera(self) -> str:
        """First part of the URL's path: the rest names the track within the camera."""
        return unquote(urlsplit(self.url).path.lstrip("/").partition("/")[0])


async def read_request(reader: asyncio.StreamReader) -> Request:
    """The next request; interleaved packets from the client, its RTCP, are skipped.

    Raises `asyncio.IncompleteReadError` at the end of the connection, and `ValueError` or
    `asyncio.LimitOverrunError` for what is not RTSP.
    """
    first = await reader.readexactly(1)
    while first == b"$":
        head = await reader.readexactly(3)
        await reader.readexactly(int.from_bytes(head[1:], "big"))
        first = await reader.readexactly(1)
    head_bytes = first + await reader.readuntil(b"\r\n\r\n")
    request_line, *header_lines = head_bytes.decode().strip().split("\r\n")
    method, url, version = request_line.split(" ")
    if not version.startswith("RTSP/1."):
        raise ValueError(f"expected RTSP/1.x, got {version!r}")
    headers = {}
    for line in header_lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    body_bytes = int(headers.get("content-length", "0"))
    if not 0 <= body_bytes <= MOST_BODY_BYTES:
        raise ValueError(f"expected a body of at most {MOST_BODY_BYTES} bytes, got {body_bytes}")
    await reader.readexactly(body_bytes)
    return Request(method, url, headers)


def response(
    request: Request | None, status: int, headers: Sequence[tuple[str, str]] = (), body: str = ""
) -> bytes:
    """A whole response to `request`; None where the request could not be read."""
    sequence = request.headers.get("cseq", "0") if request else "0"
    lines = [f"RTSP/1.0 {status} {_REASONS[status]}", f"CSeq: {sequence}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body:
        lines.append(f"Content-Length: {len(body.encode())}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
