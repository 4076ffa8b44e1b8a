"""`python -m benchmarks.throughput.store`: the store's memory for a camera and a day, and the sink's speed.

Visits come evenly over 24 hours, of all ages and both genders, each with some classified faces. The embedded
server reports the sizes of the keys (`MEMORY USAGE`) and its own (`used_memory`).
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import redis
from prometheus_client import CollectorRegistry

from agegender.services.sink.config import SinkSettings
from agegender.services.sink.redis_store import RedisStore
from agegender.shared.messages.pipeline import Result, TrackUpdate
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import RedisSettings
from agegender.shared.store import connect
from agegender.shared.store.embedded import EmbeddedStore
from tests.support.made_messages import frame_info, track_summary, track_update, vote

_DAY_S = 24 * 3600
_MIDNIGHT_S = 1_700_006_400.0
_VOTES = 5
_BATCH = 500

Message = Result | TrackUpdate


def day(camera_id: str, visits: int) -> Iterator[Message]:
    """All messages of a day: two track updates and some votes for each visit."""
    chance = random.Random(visits)  # noqa: S311  (invented visits)
    for number in range(visits):
        track_id = f"mi7x4k2p1{number % 9}-{number}"
        came_s = _MIDNIGHT_S + _DAY_S * number / visits
        age, male = chance.uniform(3, 80), chance.uniform(0, 1)
        for ended in (False, True):
            frame = frame_info(camera_id, track_id.partition("-")[0], number, came_s)
            seen = track_summary(
                track_id, first_seen_s=came_s, seconds=12.4, frames=61, votes_sent=_VOTES, ended=ended
            )
            yield track_update(seen, frame=frame)
        for place in range(1, _VOTES + 1):
            yield vote(
                track_id,
                place,
                camera_id=camera_id,
                age_years=min(max(age + chance.gauss(0, 3), 0), 100),
                male_probability=male,
                captured_at_s=came_s + place,
            )


def write(output: RedisStore, messages: Iterator[Message]) -> tuple[int, float, float]:
    """How many messages were written, in how many seconds, and of how much CPU time of ours."""
    started_s, cpu_s, number = time.perf_counter(), time.process_time(), 0
    batch: list[Message] = []
    for message in messages:
        batch.append(message)
        if len(batch) == _BATCH:
            output.write(batch)
            number += len(batch)
            batch = []
    output.write(batch)
    return number + len(batch), time.perf_counter() - started_s, time.process_time() - cpu_s


def side_by_side(cameras: int, visits: int) -> Iterator[Message]:
    """The days of several cameras at once, as one sink gets them: a batch holds a little of each."""
    days = [day(f"cam{number}", visits) for number in range(cameras)]
    for moment in zip(*days, strict=True):
        yield from moment


def sizes(client: redis.Redis) -> dict[str, tuple[int, int]]:
    """How many keys of each kind there are, and their bytes."""
    number: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for key in client.scan_iter(count=1_000):
        kind = ":".join(key.decode().partition("}:")[2].split(":")[:2]) or key.decode()
        kind = "visit" if kind.startswith("visit:") else kind
        number[kind] += 1
        total[kind] += cast("int", client.memory_usage(key, samples=0))
    return {kind: (number[kind], total[kind]) for kind, _ in total.most_common()}


def measure(visits: int, cameras: int, folder: Path) -> None:
    """Writes a day of some cameras into an empty store, and prints what it takes."""
    with EmbeddedStore(folder, maxmemory_bytes=2**31) as server:
        settings = RedisSettings().at(server.url)
        output = RedisStore(connect(settings), SinkSettings(), Metrics(CollectorRegistry()))
        output.open()
        with connect(settings) as client:
            before = int(client.info("memory")["used_memory"])
            messages, wall_s, cpu_s = write(output, side_by_side(cameras, visits))
            used = int(client.info("memory")["used_memory"]) - before
            sys.stdout.write(
                f"\n{cameras} x {visits} visits a day, {_VOTES} classified faces each: {used / 1e6:.2f} MB\n"
                f"  {messages} messages in {wall_s:.1f} s: {messages / wall_s:.0f} a second, "
                f"{cpu_s / messages * 1000:.2f} CPU ms each in the sink\n"
            )
            for kind, (number, total) in sizes(client).items():
                sys.stdout.write(
                    f"  {kind:<20} {number:>6} keys {total / 1e6:>8.2f} MB {total / number:>9.0f} B each\n"
                )
        output.close()


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visits", type=int, nargs="+", default=[1_000, 10_000], help="one day each")
    parser.add_argument("--cameras", type=int, default=1, help="each with this number of visits")
    given = parser.parse_args()
    for visits in given.visits:
        with tempfile.TemporaryDirectory(prefix="agegender-bench-") as name:
            measure(visits, given.cameras, Path(name, "store"))


if __name__ == "__main__":
    main()
