"""The store of a command: the Redis of REDIS_URL, or the embedded store of this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import redis as redis_client

from agegender.shared.errors import NotNow, SchemaMismatch
from agegender.shared.process.settings import ProcessSettings, RedisSettings
from agegender.shared.store import ResultStore, connect, redis_errors_sorted, refuse_cluster
from agegender.shared.store.embedded import EmbeddedStore, default_store_path, reading_store
from agegender.shared.store.schema import check_schema


@contextlib.contextmanager
def store_for_writing(redis: RedisSettings, process: ProcessSettings) -> Iterator[RedisSettings]:
    """The Redis of REDIS_URL, or an embedded store for the length of the block."""
    if redis.url is not None:
        _refuse_cluster(redis)
        yield redis
        return
    folder = process.store_path or default_store_path()
    with EmbeddedStore(folder) as store:
        embedded = redis.at(store.url)
        with connect(embedded) as client:
            _check_embedded(client, folder)  # the sink would only wait
        yield embedded


@contextlib.contextmanager
def store_for_reading(redis: RedisSettings, process: ProcessSettings) -> Iterator[ResultStore]:
    """The results in the Redis of REDIS_URL, or in the embedded store, even while no run has it open."""
    if redis.url is not None:
        with connect(redis) as client:
            yield ResultStore(client)
        return
    folder = process.store_path or default_store_path()
    with reading_store(folder) as url, connect(redis.at(url)) as client:
        _check_embedded(client, folder)
        yield ResultStore(client)


def _refuse_cluster(redis: RedisSettings) -> None:
    """Raises SettingsError for a node of a Redis Cluster. While Redis is away, the pipeline waits for it."""
    with connect(redis) as client, contextlib.suppress(NotNow), redis_errors_sorted(client):
        refuse_cluster(client)


def _check_embedded(client: redis_client.Redis, folder: Path) -> None:
    """Raises SchemaMismatch with the way to start afresh, which for this store is to delete its folder."""
    try:
        check_schema(client)
    except SchemaMismatch:
        raise SchemaMismatch(
            f"the store in {str(folder)!r} was written by another version: "
            "delete that folder to start afresh, or set AGEGENDER_STORE_PATH to another one"
        ) from None
