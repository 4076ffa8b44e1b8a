"""A client of the primary that Redis Sentinel names; after a failover it reaches the new primary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import redis
from redis.exceptions import AuthenticationError, RedisError
from redis.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool

from agegender.shared.process.redis_url import SentinelUrl
from agegender.shared.store.login import refusal

_MOST_WAIT_S = 1.0  # for one sentinel; then the next one is asked


def client_of_primary(
    url: SentinelUrl, of_server: Mapping[str, Any], of_sentinels: Mapping[str, Any], timeout_s: float
) -> redis.Redis:
    """A client that asks the sentinels for the primary at every new connection.

    Args:
        of_server: the settings of a connection to the primary, with login and TLS.
        of_sentinels: the same for a connection to a sentinel. Where it encrypts, both do.
        timeout_s: how long to wait for an answer.
    """
    wait_s = min(timeout_s, _MOST_WAIT_S)
    theirs = {**of_sentinels, "ssl": bool(of_sentinels.get("ssl")), "db": 0}
    sentinels = _Sentinels(  # type: ignore[no-untyped-call]  # redis has no types for sentinels
        url.addresses,
        sentinel_kwargs={**theirs, "socket_timeout": wait_s, "socket_connect_timeout": wait_s},
    )
    pool = _PrimaryPool(url.name, sentinels, db=url.database, **of_server)  # type: ignore[no-untyped-call]
    return redis.Redis.from_pool(pool)


class _Sentinels(Sentinel):
    """Names the primary, or says in plain words why it cannot. The client's own text shows its insides."""

    def discover_master(self, service_name: str) -> tuple[str, int]:
        errors: list[RedisError] = []
        for sentinel in self.sentinels:
            try:
                known: Any = sentinel.sentinel_masters()
            except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError) as error:
                errors.append(error)
                continue
            state = known.get(service_name)
            if state and self.check_master_state(state, service_name):  # type: ignore[no-untyped-call]
                # Asked first from now on. Replaced, never changed in place, because threads share the list.
                self.sentinels = [sentinel, *(one for one in self.sentinels if one is not sentinel)]
                return state["ip"], state["port"]
        raise self._why(errors, service_name)

    def _why(self, errors: Sequence[RedisError], name: str) -> RedisError:
        for error in errors:
            if isinstance(error, AuthenticationError):
                login = "REDIS_SENTINELS_USERNAME and REDIS_SENTINELS_PASSWORD"
                return MasterNotFoundError(f"a sentinel refuses the login: check {login}")
            if refusal(error) is not None:
                return error
        if len(errors) == len(self.sentinels):
            return MasterNotFoundError("no sentinel of REDIS_URL answers")
        return MasterNotFoundError(f"no sentinel of REDIS_URL knows a primary named {name!r} that is up")


class _PrimaryPool(SentinelConnectionPool):
    """Connections to the primary. Closing them closes those to the sentinels, too."""

    def disconnect(self, inuse_connections: bool = True) -> None:
        super().disconnect(inuse_connections)
        if inuse_connections:
            self.sentinel_manager.close()
