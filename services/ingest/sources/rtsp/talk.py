"""What FFmpeg's RTSP client logs while it opens a camera.

Its errors alone do not tell what the camera answered.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit

import av.logging

Transport = Literal["tcp", "udp"]

MOST_REDIRECTS = 5
"""More than this, and the camera redirects in a circle."""

_CLIENT_LOGGERS = ("libav.rtsp", "libav.tcp", "libav.tls")
_MOST_LINES = 200
_BRAKE_S = 1.0
_SILENT = logging.CRITICAL + 1

_REFUSAL = re.compile(r"method (?P<method>[A-Z_]+) failed: (?P<status>\d{3})\b")
_REDIRECT = re.compile(r"Status 3\d\d: Redirecting to (?P<url>\S+)")
_BAD_REDIRECT = re.compile(r"Protocol '.*' not on whitelist")
_CHALLENGE = re.compile(
    r"^WWW-Authenticate: *(?P<scheme>\w+)(?P<parameters>.*)$", re.IGNORECASE | re.MULTILINE
)
_ALGORITHM = re.compile(r'\balgorithm="?(?P<name>[\w-]+)', re.IGNORECASE)
_KNOWN_ALGORITHMS = ("MD5", "MD5-sess")  # FFmpeg compares them letter by letter
_DESCRIBED, _PLAYS = "SDP:", "hello state="
_WITH_ANY_TRANSPORT = frozenset([401, 403, 404, 453, 454, 461, 503])

_lock = threading.Lock()
_listeners = 0


class RtspTalk(logging.Handler):
    """The lines that FFmpeg's RTSP client logged in one thread. They may hold a login: never log them."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.get_ident()
        self._lines: deque[str] = deque(maxlen=_MOST_LINES)
        self._redirects: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        if record.thread != self._thread or record.name not in _CLIENT_LOGGERS:
            return
        line = record.getMessage()
        self._lines.append(line)
        if redirect := _REDIRECT.match(line):
            self._redirects.append(redirect["url"])
            # FFmpeg follows a circle of redirects as fast as it can, until its time is up.
            if len(self._redirects) > MOST_REDIRECTS:
                time.sleep(_BRAKE_S)

    @property
    def refusal(self) -> tuple[str, int] | None:
        """The last method that the camera refused, and the status of its answer."""
        found = [refusal for line in self._lines if (refusal := _REFUSAL.match(line))]
        return (found[-1]["method"], int(found[-1]["status"])) if found else None

    @property
    def redirects(self) -> int:
        """How often the camera redirected us."""
        return len(self._redirects)

    @property
    def redirect_url(self) -> str | None:
        """The URL of the last redirect, maybe with a login; None without one."""
        return self._redirects[-1] if self._redirects else None

    @property
    def redirected_to(self) -> str | None:
        """The host and port of the last redirect; None without one."""
        return None if self.redirect_url is None else _netloc(self.redirect_url).rpartition("@")[2]

    @property
    def is_badly_redirected(self) -> bool:
        """Whether the camera redirected us to something that is no RTSP URL."""
        return any(_BAD_REDIRECT.match(line) for line in self._lines)

    @property
    def unknown_login(self) -> str | None:
        """The kind of login that the camera asks for, if FFmpeg does not know it.

        Of several it takes the last Digest; Basic only if there is no Digest.
        """
        challenges = [found for line in self._lines for found in _CHALLENGE.finditer(line)]
        digests = [one for one in challenges if one["scheme"].lower() == "digest"]
        if digests:
            algorithm = _ALGORITHM.search(digests[-1]["parameters"])
            name = "MD5" if algorithm is None else algorithm["name"]
            return None if name in _KNOWN_ALGORITHMS else f"Digest {name}"
        others = [one["scheme"] for one in challenges if one["scheme"].lower() != "basic"]
        return others[-1] if len(others) == len(challenges) > 0 else None

    @property
    def has_no_tcp(self) -> bool:
        """Whether SETUP failed for no better reason than the transport. Then UDP is worth a try.

        A camera without TCP should answer 461, and FFmpeg then asks for UDP by itself. Some answer otherwise.
        """
        _, status = self.refusal or ("", 0)
        return self._has(_DESCRIBED) and not self._has(_PLAYS) and status not in _WITH_ANY_TRANSPORT

    def _has(self, start: str) -> bool:
        return any(line.startswith(start) for line in self._lines)

    @property
    def transport(self) -> Transport:
        """The transport of a stream that was opened: UDP once the camera refused TCP."""
        return "udp" if self.refusal == ("SETUP", 461) else "tcp"


def _netloc(url: str) -> str:
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""


@contextmanager
def listening() -> Iterator[RtspTalk]:
    """Keeps what FFmpeg's RTSP client logs in this thread until the end of the block."""
    talk = RtspTalk()
    logger = logging.getLogger("libav")
    logger.addHandler(talk)
    _listen(1)
    try:
        yield talk
    finally:
        _listen(-1)
        logger.removeHandler(talk)


def _listen(more: int) -> None:
    """Switches FFmpeg's log on for the first listener, and off after the last. No other handler gets it."""
    global _listeners  # FFmpeg has one log for the process
    with _lock:
        _listeners += more
        logger = logging.getLogger("libav")
        logger.propagate = False
        logger.setLevel(logging.NOTSET + 1 if _listeners else _SILENT)
        # Else a line that equals the one before is left out, even if that came from another thread.
        av.logging.set_skip_repeated(not _listeners)
        av.logging.set_level(av.logging.DEBUG if _listeners else None)
