"""A store that the sink writes to, an API over it, and a week of visits."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import NamedTuple

from tests.support.api import ApiClient, running_api
from tests.support.made_messages import frame_info, track_summary, track_update, vote
from tests.support.redis_server import RedisServer, find_redis_server
from tests.support.sink import Sink, opened_sink


class World(NamedTuple):
    """All that a test of the page needs."""

    api: ApiClient
    sink: Sink
    redis: RedisServer

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.api.port}/"


@contextlib.contextmanager
def running_world() -> Iterator[World]:
    """With a server of its own, which keeps its data after `stop`."""
    server = RedisServer(find_redis_server("valkey"), keep_data=True)
    try:
        server.start()
        with opened_sink(server.url) as sink, running_api(server.url) as api:
            yield World(api, sink, server)
    finally:
        server.close()


def write_visit(sink: Sink, number: int, *, at_s: float, camera_id: str = "door", ended: bool = True) -> None:
    """A visit with age and gender by its number; every seventh stays unknown."""
    track_id = f"s1-{number}"
    seen = track_summary(track_id, first_seen_s=at_s, seconds=4.0, votes_sent=1, ended=ended)
    classified = vote(
        track_id,
        camera_id=camera_id,
        age_years=5.0 + number * 11 % 80,
        male_probability=0.5 if number % 7 == 0 else 0.02 if number % 2 else 0.98,
        captured_at_s=at_s,
    )
    frame = frame_info(camera_id, "s1", number, at_s + 4.0)
    sink.output.write([classified, track_update(seen, frame=frame)])


def fill(sink: Sink) -> None:
    """A week at two cameras, and three people there now."""
    now_s = time.time()
    for number in range(40):
        ago_s = 120.0 + number**2 * 360.0
        write_visit(sink, number, at_s=now_s - ago_s, camera_id="door" if number % 3 else "shop")
    for number in range(40, 43):
        write_visit(sink, number, at_s=now_s - 5.0, ended=False)
