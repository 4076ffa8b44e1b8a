"""Checks the URL of a Redis server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

_SHAPE = (
    "REDIS_URL: expected redis://[user:password@]host[:port][/database], rediss:// or unix:///path. "
    "Characters such as @ : / % # in a password must be percent-encoded there; or use REDIS_PASSWORD or "
    "REDIS_PASSWORD_FILE"
)
_DATABASE = re.compile(r"^/?\d*$")
_BESIDE = ("username", "password", "credential_provider")


def url_problems(url: str, *, has_login: bool) -> Iterator[str]:
    """The problems of a URL. The texts do not repeat the URL, because it may hold a password.

    Args:
        has_login: a user or a password is given in other settings.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        yield _SHAPE
        return
    is_server = parts.scheme in ("redis", "rediss") and parts.hostname and _DATABASE.match(parts.path)
    is_socket = parts.scheme == "unix" and parts.path
    # Text after the database number is usually the rest of a password.
    rest = parts.fragment or "@" in parts.query
    options = parse_qs(parts.query)
    if not (is_server or is_socket) or rest or port == 0:
        yield _SHAPE
    elif has_login and (parts.username or parts.password):
        yield "the login is given in REDIS_URL and in other settings: keep one"
    elif any(name.startswith("ssl_") or name in _BESIDE for name in options):
        yield "REDIS_URL: give login and TLS as settings (REDIS_PASSWORD, REDIS_CA_PATH …), not after a ?"
