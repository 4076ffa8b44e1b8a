"""How a client of Redis logs in, and why the server refused it."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr
from redis.credentials import CredentialProvider
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from agegender.shared.process.secrets import remember_secret
from agegender.shared.process.settings import RedisSettings
from agegender.shared.process.tls import why_refused


class _Login(CredentialProvider):
    """User and password, asked for at each login: the password may be rotated."""

    def __init__(self, username: str | None, password: SecretStr) -> None:
        self._username = username
        self._password = password

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """The login as it is now."""
        password = self._password.get_secret_value()
        remember_secret(password)
        return (password,) if self._username is None else (self._username, password)


def login_settings(username: str | None, password: SecretStr | None) -> dict[str, Any]:
    """What a connection of `redis` needs for this login; nothing if both are missing or empty."""
    if password is None or not (username or password.get_secret_value()):
        return {}
    return {"credential_provider": _Login(username, password)}


def tls_settings(redis: RedisSettings) -> dict[str, Any]:
    """What a connection of `redis` needs for TLS; nothing without. It may hold a password: never log it."""
    if not redis.uses_tls:
        return {}
    key_password = redis.key_password
    return {
        "ssl_ca_certs": _path(redis.ca_path),
        "ssl_certfile": _path(redis.certificate_path),
        "ssl_keyfile": _path(redis.key_path),
        "ssl_password": None if key_password is None else key_password.get_secret_value(),
        "ssl_check_hostname": redis.verify_hostname,
    }


def _path(path: object) -> str | None:
    return None if path is None else str(path)


def refusal(error: RedisError) -> str | None:
    """Why Redis refused the login or a command, in plain words; None if it did not."""
    if isinstance(error, NoPermissionError):
        return f"the ACL of this user forbids a command that is needed: {error}"
    if isinstance(error, AuthenticationError):
        return f"the login of REDIS_URL or REDIS_USERNAME and REDIS_PASSWORD was refused: {error}"
    reason = why_refused(str(error), "REDIS_")
    return None if reason is None else f"TLS failed, because one side does not trust the other: {reason}"
