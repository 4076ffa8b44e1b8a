"""The connection to Redis, and which of its errors pass by themselves."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from agegender.shared.errors import NotNow, SettingsError
from agegender.shared.process.secrets import mask, remember_secret
from agegender.shared.process.settings import RedisSettings
from agegender.shared.store.login import login_settings, refusal

# The server is away, starting, full or failing over: worth another try. Any other error is a bug.
_UNAVAILABLE: tuple[type[RedisError], ...] = (
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    redis.exceptions.BusyLoadingError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ClusterDownError,
)
# The same, for answers without a class: the server cannot save, or too few replicas are connected.
_UNAVAILABLE_WORDS = ("MISCONF", "NOREPLICAS")


def connect(settings: RedisSettings) -> redis.Redis:
    """A client for these settings. It connects at its first command.

    Raises:
        SettingsError: REDIS_URL is not a Redis URL. The text omits it, because it may hold a password.
    """
    try:
        client = redis.Redis.from_url(
            settings.address,
            socket_timeout=settings.timeout_s,
            socket_connect_timeout=settings.timeout_s,
            # The runner retries and logs it; the client would retry without a log line.
            retry=Retry(NoBackoff(), 0),
            **login_settings(settings),
        )
    except ValueError as error:
        raise SettingsError(mask(f"REDIS_URL: {error}")) from None
    password = client.get_connection_kwargs().get("password")
    if password:
        remember_secret(password)
    return client


@contextlib.contextmanager
def redis_errors_sorted() -> Iterator[None]:
    """Inside the block, a Redis error that may pass becomes NotNow, with passwords masked."""
    try:
        yield
    except RedisError as error:
        text = str(error)
        is_away = isinstance(error, _UNAVAILABLE) or any(word in text for word in _UNAVAILABLE_WORDS)
        if is_away or isinstance(error, redis.exceptions.NoPermissionError):
            raise NotNow(mask(f"Redis: {refusal(error) or text}")) from None
        raise


def server_time_s(client: redis.Redis) -> float:
    """The time by the clock of the server, seconds since 1970."""
    seconds, microseconds = client.time()
    return seconds + microseconds / 1_000_000
