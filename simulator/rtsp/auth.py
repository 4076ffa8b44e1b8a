"""Basic and Digest login of RTSP 1.0 (RFC 2326, section 14, after RFC 7616), from the server's side."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias
from urllib.parse import quote

Scheme: TypeAlias = Literal["basic", "digest", "digest-sha-256"]
"""`digest` is that with MD5."""

_REALM = "simulated camera"
_PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))')


@dataclass(frozen=True)
class Login:
    """User and password of a camera, in plain text. The user must not contain a colon."""

    user: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if not self.user or ":" in self.user:
            raise ValueError(f"expected a user name without a colon, got {self.user!r}")

    def in_url(self) -> str:
        """`user:password`, percent-encoded for use in a URL."""
        return f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"


class Gatekeeper:
    """Asks for a login and checks what comes. Without a login everybody may enter."""

    def __init__(self, login: Login | None, schemes: tuple[Scheme, ...] = ("digest", "basic")) -> None:
        self._login = login
        self._schemes = schemes
        self._nonce = secrets.token_hex(16)

    def challenges(self) -> list[str]:
        """Values of the `WWW-Authenticate` headers, the preferred scheme first."""
        texts: dict[Scheme, str] = {
            "digest": f'Digest realm="{_REALM}", nonce="{self._nonce}"',
            "digest-sha-256": f'Digest realm="{_REALM}", nonce="{self._nonce}", algorithm=SHA-256',
            "basic": f'Basic realm="{_REALM}"',
        }
        return [texts[scheme] for scheme in self._schemes]

    def admits(self, method: str, authorization: str | None) -> bool:
        """Whether a request of `method` with this `Authorization` header may go on."""
        if self._login is None:
            return True
        scheme, _, value = (authorization or "").partition(" ")
        match scheme.lower():
            case "basic" if "basic" in self._schemes:
                return self._right_basic(value, self._login)
            case "digest":
                return self._right_digest(method, value, self._login)
        return False

    def _right_basic(self, value: str, login: Login) -> bool:
        try:
            given = base64.b64decode(value, validate=True)
        except binascii.Error:
            return False
        return secrets.compare_digest(given, f"{login.user}:{login.password}".encode())

    def _right_digest(self, method: str, value: str, login: Login) -> bool:
        given = {name: quoted or bare for name, quoted, bare in _PARAMETER.findall(value)}
        algorithm = given.get("algorithm", "MD5").upper()
        scheme = _BY_ALGORITHM.get(algorithm)
        if scheme not in self._schemes or given.get("username") != login.user:
            return False
        user_hash = _hash(algorithm, f"{login.user}:{_REALM}:{login.password}")
        what = _hash(algorithm, f"{method}:{given.get('uri', '')}")
        expected = _hash(algorithm, f"{user_hash}:{self._nonce}:{what}")
        return secrets.compare_digest(given.get("response", "").encode(), expected.encode())


_BY_ALGORITHM: Mapping[str, Scheme] = {"MD5": "digest", "SHA-256": "digest-sha-256"}


def _hash(algorithm: str, text: str) -> str:
    name = algorithm.replace("-", "").lower()
    return hashlib.new(name, text.encode(), usedforsecurity=False).hexdigest()
