"""The connection to Redis, and what its errors mean: try again, change a setting, or a bug."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import redis
from pydantic import SecretStr
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from agegender.shared.errors import NotNow, SettingsError
from agegender.shared.process.redis_url import SentinelUrl, url_problems
from agegender.shared.process.secrets import mask, remember_secret
from agegender.shared.process.settings import RedisSettings
from agegender.shared.store.login import login_settings, refusal, tls_settings
from agegender.shared.store.sentinels import client_of_primary

# The server is away, starting, full or failing over: worth another try.
_UNAVAILABLE: tuple[type[RedisError], ...] = (
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    redis.exceptions.BusyLoadingError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.TryAgainError,
    redis.exceptions.NoScriptError,  # the server changed between the load of a script and its call
)
# The same, for answers without a class, also from inside a script. The server cannot save, has too few
# replicas, runs the script of another client, or has become a replica.
_UNAVAILABLE_CODE = re.compile(r"(?:^|[\s-])(MISCONF|NOREPLICAS|BUSY|UNBLOCKED|READONLY|MASTERDOWN) ")
# After a failover, a fixed address leads to another server, but only for new connections.
_FAILED_OVER = (redis.exceptions.ReadOnlyError, redis.exceptions.MasterDownError)
_FAILED_OVER_CODES = ("UNBLOCKED", "READONLY", "MASTERDOWN")
_CLUSTER = (redis.exceptions.AskError, redis.exceptions.ClusterCrossSlotError)  # MOVED is a kind of ASK
_NO_CLUSTER = (
    "REDIS_URL: expected a plain Redis server, got a node of a Redis Cluster: set it to a server without "
    "cluster mode, or to a fixed address that leads to the primary"
)
# Answers that no wait will change, with what to say of each.
_CANNOT_WORK = (
    (re.compile("SELECT is not allowed in cluster mode"), _NO_CLUSTER),
    (
        re.compile("(DB index is out of range|invalid DB index)"),
        "REDIS_URL: the server has no database of this number (its `databases`): choose a smaller one",
    ),
    (
        re.compile(r"unknown command [`']?(?P<name>[A-Za-z]{1,20})"),
        "REDIS_URL: expected Redis 7 or newer, or Valkey, got a server without the command {name}. If it is "
        "a sentinel, begin REDIS_URL with redis+sentinel://",
    ),
)


def connect(settings: RedisSettings) -> redis.Redis:
    """A client for these settings. It connects at its first command.

    Raises:
        SettingsError: REDIS_URL is not a Redis URL. The text omits it, because it may hold a password.
    """
    for problem in url_problems(settings.address, has_login=settings.password is not None):
        raise SettingsError(problem)
    sentinels = settings.sentinels
    if sentinels is not None:
        return _connect_by_sentinels(settings, sentinels)
    tls, login = tls_settings(settings), login_settings(settings.username, settings.password)
    try:
        client = redis.Redis.from_url(settings.address, **_common(settings), **tls, **login)
    except ValueError as error:
        raise SettingsError(f"REDIS_URL: {mask(str(error))}") from None
    password = client.get_connection_kwargs().get("password")
    if password:
        remember_secret(password)
    return client


def _common(settings: RedisSettings) -> dict[str, Any]:
    return {
        "socket_timeout": settings.timeout_s,
        "socket_connect_timeout": settings.timeout_s,
        # The runner retries and logs it; the client would retry without a log line.
        "retry": Retry(NoBackoff(), 0),
    }


def _connect_by_sentinels(settings: RedisSettings, url: SentinelUrl) -> redis.Redis:
    in_url = None if url.password is None else SecretStr(url.password)
    common = {**_common(settings), **tls_settings(settings)} | ({"ssl": True} if settings.uses_tls else {})
    return client_of_primary(
        url,
        {**common, **login_settings(settings.username or url.username, settings.password or in_url)},
        {**common, **login_settings(settings.sentinels_username, settings.sentinels_password)},
        settings.timeout_s,
    )


@contextlib.contextmanager
def redis_errors_sorted(client: redis.Redis) -> Iterator[None]:
    """Inside the block, a Redis error that may pass becomes NotNow, with passwords masked.

    If the server has become a replica, the idle connections of `client` are closed, so that the next call
    reaches the new primary.

    Raises:
        NotNow: the same call may succeed later.
        SettingsError: the server belongs to a Redis Cluster, or lacks what is needed.
    """
    try:
        yield
    except _CLUSTER:
        raise SettingsError(_NO_CLUSTER) from None
    except redis.exceptions.InvalidResponse:
        raise NotNow("Redis: the server of REDIS_URL does not speak the protocol of Redis") from None
    except RedisError as error:
        text = str(error)
        if (mistake := _mistake(text)) is not None:
            raise SettingsError(mistake) from None
        code = _code(text)
        if isinstance(error, _FAILED_OVER) or code in _FAILED_OVER_CODES:
            client.connection_pool.disconnect(inuse_connections=False)
        if isinstance(error, (*_UNAVAILABLE, redis.exceptions.NoPermissionError)) or code is not None:
            raise NotNow(f"Redis: {refusal(error) or mask(text)}") from None
        raise


def _code(text: str) -> str | None:
    """The code of an answer that may pass."""
    found = _UNAVAILABLE_CODE.search(_answer(text))
    return None if found is None else found[1]


def _mistake(text: str) -> str | None:
    """What to say of an answer that no wait will change; None for others."""
    for pattern, advice in _CANNOT_WORK:
        if found := pattern.match(_answer(text)):
            return advice.format(**found.groupdict())
    return None


def _answer(text: str) -> str:
    """The answer without the command of a pipeline that it repeats, with names of keys."""
    return text.rpartition(" caused error: ")[2]


def refuse_cluster(client: redis.Redis) -> None:
    """Asks the server once whether it belongs to a Redis Cluster, where commands on several keys fail.

    Raises:
        SettingsError: it does. The text says what to set.
        RedisError: Redis is away or refuses.
    """
    try:
        found = client.info("cluster")
    except redis.exceptions.NoPermissionError:
        return  # then the first command for another node tells
    if found.get("cluster_enabled"):
        raise SettingsError(_NO_CLUSTER)


def server_time_s(client: redis.Redis) -> float:
    """The time by the clock of the server, seconds since 1970."""
    seconds, microseconds = client.time()
    return seconds + microseconds / 1_000_000
