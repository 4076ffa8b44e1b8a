"""The connection to Redis, and what its errors mean: try again, change a setting, or a bug."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from agegender.shared.errors import NotNow, SettingsError
from agegender.shared.process.secrets import mask, remember_secret
from agegender.shared.process.settings import RedisSettings
from agegender.shared.store.login import login_settings, refusal

# The server is away, starting, full or failing over: worth another try.
_UNAVAILABLE: tuple[type[RedisError], ...] = (
    redis.exceptions.ConnectionError,
    redis.exceptions.TimeoutError,
    redis.exceptions.BusyLoadingError,
    redis.exceptions.ReadOnlyError,
    redis.exceptions.OutOfMemoryError,
    redis.exceptions.ClusterDownError,
    redis.exceptions.TryAgainError,
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
        raise SettingsError(f"REDIS_URL: {mask(str(error))}") from None
    password = client.get_connection_kwargs().get("password")
    if password:
        remember_secret(password)
    return client


@contextlib.contextmanager
def redis_errors_sorted(client: redis.Redis) -> Iterator[None]:
    """Inside the block, a Redis error that may pass becomes NotNow, with passwords masked.

    If the server has become a replica, the idle connections of `client` are closed, so that the next call
    reaches the new primary.

    Raises:
        NotNow: the same call may succeed later.
        SettingsError: the server belongs to a Redis Cluster.
    """
    try:
        yield
    except _CLUSTER:
        raise SettingsError(_NO_CLUSTER) from None
    except RedisError as error:
        text = str(error)
        code = _code(text)
        if isinstance(error, _FAILED_OVER) or code in _FAILED_OVER_CODES:
            client.connection_pool.disconnect(inuse_connections=False)
        if isinstance(error, (*_UNAVAILABLE, redis.exceptions.NoPermissionError)) or code is not None:
            raise NotNow(f"Redis: {refusal(error) or mask(text)}") from None
        raise


def _code(text: str) -> str | None:
    """The code of an answer that may pass. Commands of a pipeline are cut off: they name cameras."""
    found = _UNAVAILABLE_CODE.search(text.rpartition(" caused error: ")[2])
    return None if found is None else found[1]


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
