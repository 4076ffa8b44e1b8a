"""The store of a command: the Redis of REDIS_URL, or the embedded store of this machine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from agegender.shared.process.settings import ProcessSettings, RedisSettings
from agegender.shared.store import ResultStore, connect
from agegender.shared.store.embedded import EmbeddedStore, default_store_path, reading_store
from agegender.shared.store.schema import check_schema


@contextlib.contextmanager
def store_for_writing(redis: RedisSettings, process: ProcessSettings) -> Iterator[RedisSettings]:
    """The Redis of REDIS_URL, or an embedded store for the length of the block."""
    if redis.url is not None:
        yield redis
        return
    with EmbeddedStore(process.store_path or default_store_path()) as store:
        embedded = redis.at(store.url)
        with connect(embedded) as client:
            check_schema(client)  # otherwise the sink, and the run with it, would wait for ever
        yield embedded


@contextlib.contextmanager
def store_for_reading(redis: RedisSettings, process: ProcessSettings) -> Iterator[ResultStore]:
    """The results in the Redis of REDIS_URL, or in the embedded store, even while no run has it open."""
    if redis.url is not None:
        with connect(redis) as client:
            yield ResultStore(client)
        return
    with (
        reading_store(process.store_path or default_store_path()) as url,
        connect(redis.at(url)) as client,
    ):
        yield ResultStore(client)
