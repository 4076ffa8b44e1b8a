"""Checks the URL of a Redis server, or of the sentinels of one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

_ENCODED = (
    "Characters such as @ : / % # in a password must be percent-encoded there; or use REDIS_PASSWORD or "
    "REDIS_PASSWORD_FILE"
)
_SHAPE = (
    "REDIS_URL: expected redis://[user:password@]host[:port][/database], rediss:// or unix:///path, or "
    f"redis+sentinel://. {_ENCODED}"
)
_SENTINEL_SHAPE = (
    "REDIS_URL: expected redis+sentinel://[user:password@]host[:port],host[:port]…/NAME[/database] or "
    f"rediss+sentinel://, where NAME is that of `sentinel monitor`. {_ENCODED}"
)
_TWO_LOGINS = "the login is given in REDIS_URL and in other settings: keep one"
_DATABASE = re.compile(r"^/?\d*$")
_BESIDE = ("username", "password", "credential_provider")

_SENTINEL_PORT = 26_379
_OF_SENTINELS = re.compile(r"^rediss?\+sentinel://", re.IGNORECASE)
_HOST = r"(?:\[[0-9A-Fa-f:.]+\]|[^\s@:/?#,\[\]]+)(?::\d{1,5})?"
_SENTINELS = re.compile(
    r"^(?P<scheme>rediss?)\+sentinel://(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^@/?#]*))?@)?"
    rf"(?P<hosts>{_HOST}(?:,{_HOST})*)/(?P<name>[A-Za-z0-9._-]+)(?:/(?P<database>\d{{1,9}}))?$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class SentinelUrl:
    """The sentinels that know which server is the primary, and what to use there."""

    addresses: tuple[tuple[str, int], ...]
    """Host and port of each sentinel."""
    name: str
    """The name of the primary, as in `sentinel monitor NAME …`."""
    database: int = 0
    username: str | None = None
    """Of the Redis servers, not of the sentinels."""
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> SentinelUrl | None:
        """The parts of a URL; None if it does not name sentinels, or not in the expected form."""
        found = _SENTINELS.match(url)
        if found is None:
            return None
        addresses = tuple(_address(one) for one in found["hosts"].split(","))
        if not all(1 <= port <= 65_535 for _, port in addresses):
            return None
        user, password = (unquote(found[part]) if found[part] else None for part in ("user", "password"))
        return cls(addresses, found["name"], int(found["database"] or 0), user, password)


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or "]" in port:
        host, port = text, str(_SENTINEL_PORT)
    return host.strip("[]"), int(port)


def url_problems(url: str, *, has_login: bool) -> Iterator[str]:
    """The problems of a URL. The texts do not repeat the URL, because it may hold a password.

    Args:
        has_login: a user or a password is given in other settings.
    """
    if _OF_SENTINELS.match(url):
        found = SentinelUrl.parse(url)
        if found is None:
            yield _SENTINEL_SHAPE
        elif has_login and (found.username or found.password):
            yield _TWO_LOGINS
        return
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        yield _SHAPE
        return
    # Text after the database number is usually the rest of a password.
    rest = parts.fragment or "@" in parts.query
    options = parse_qs(parts.query)
    if not _has_shape(parts) or rest or port == 0:
        yield _SHAPE
    elif has_login and (parts.username or parts.password):
        yield _TWO_LOGINS
    elif any(name.startswith("ssl_") or name in _BESIDE for name in options):
        yield "REDIS_URL: give login and TLS as settings (REDIS_PASSWORD, REDIS_CA_PATH …), not after a ?"


def _has_shape(parts: SplitResult) -> bool:
    is_server = parts.scheme in ("redis", "rediss") and parts.hostname and _DATABASE.match(parts.path)
    is_socket = parts.scheme == "unix" and parts.path
    return bool(is_server or is_socket)
