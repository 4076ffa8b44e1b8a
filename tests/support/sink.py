"""The writing and the reading end of one store."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple, cast

import redis
from prometheus_client import CollectorRegistry

from agegender.services.sink.config import SinkSettings
from agegender.services.sink.redis_store import RedisStore
from agegender.shared.messages.visits import Visit
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import RedisSettings
from agegender.shared.store import CameraKeys, ResultStore, connect


class Sink(NamedTuple):
    """Both ends, and a client of the same store."""

    output: RedisStore
    store: ResultStore
    client: redis.Redis
    metrics: Metrics

    def closed(self, camera_id: str = "cam1") -> list[Visit]:
        """All visits in the stream of closed visits of a camera."""
        entries = self.client.xrange(CameraKeys.of(camera_id).closed)
        found = cast("list[tuple[bytes, dict[bytes, bytes]]]", entries)
        return [Visit.model_validate_json(fields[b"visit"]) for _, fields in found]


@contextlib.contextmanager
def opened_sink(
    store: str | RedisSettings,
    settings: SinkSettings | None = None,
    *,
    now_s: Callable[[], float] | None = None,
) -> Iterator[Sink]:
    """A sink for the store at this URL, ready to write. `now_s` replaces the clock of the server."""
    redis_settings = RedisSettings(timeout_s=0.5).at(store) if isinstance(store, str) else store
    metrics = Metrics(CollectorRegistry())
    output = RedisStore(connect(redis_settings), settings or SinkSettings(), metrics, clock=now_s)
    output.open()
    with connect(redis_settings) as client:
        yield Sink(output, ResultStore(client, clock=now_s), client, metrics)
    output.close()
