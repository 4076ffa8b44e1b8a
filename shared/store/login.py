"""How a client of Redis logs in, and why the server refused it."""

from __future__ import annotations

from typing import Any

from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from agegender.shared.errors import SettingsError
from agegender.shared.process.redis_url import url_problems
from agegender.shared.process.settings import RedisSettings
from agegender.shared.process.tls import why_refused


def login_settings(redis: RedisSettings) -> dict[str, Any]:
    """What `redis.Redis.from_url` needs besides the URL. It holds the password: never log it.

    Raises:
        SettingsError: REDIS_URL is not a Redis URL. The text omits it.
    """
    for problem in url_problems(redis.address, has_login=redis.password is not None):
        raise SettingsError(problem)
    found: dict[str, Any] = {}
    if redis.password is not None:
        found |= {"username": redis.username, "password": redis.password.get_secret_value()}
    if redis.uses_tls:
        key_password = redis.key_password
        found |= {
            "ssl_ca_certs": _path(redis.ca_path),
            "ssl_certfile": _path(redis.certificate_path),
            "ssl_keyfile": _path(redis.key_path),
            "ssl_password": None if key_password is None else key_password.get_secret_value(),
            "ssl_check_hostname": redis.verify_hostname,
        }
    return found


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
