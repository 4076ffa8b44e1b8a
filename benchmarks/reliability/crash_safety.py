"""`python -m benchmarks.reliability.crash_safety`: what crash safety costs detect.

The same batches go to a real broker in several ways, in turn, so that all have the same share of the machine:
as messages that may be repeated, with and without the states of their cameras, and as one Kafka transaction.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from kafka import KafkaProducer
from kafka.structs import OffsetAndMetadata
from rich.console import Console
from rich.table import Table

from agegender.services.detect.checkpoints import CHECKPOINTS
from agegender.services.detect.tracking.camera_tracks import CameraTracks
from agegender.services.detect.tracking.checkpoint import Checkpoint, newest_checkpoints
from agegender.shared.kafka.changelog import KafkaChangelog
from agegender.shared.kafka.output import KafkaOutput
from agegender.shared.kafka.source import KafkaSource
from agegender.shared.kafka.topics import FACES, FRAMES
from agegender.shared.messages.pipeline import Face, Frame, TrackUpdate
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.transport import Assignment
from tests.support.kafka_broker import launch_broker
from tests.support.kafka_frames import opened, until_done
from tests.support.made_messages import face_info, frame, frame_info

_CHIP_BYTES = 6_000
_VISITS = 2
_RATE_HZ = 5.0
_BATCHES = ((2, 1), (16, 4), (200, 8))
"""Faces and cameras: of a single frame, of detect's usual batch, of a large one."""
_IN_A_ROW = 4
"""Batches of one way before the next one's turn: a transaction that begins waits for the end of the last."""
_WAYS_WITH_STATES = 3
_SHARE = Assignment(frozenset(range(4)), 4)

Write = Callable[[Sequence[Face], Sequence[Checkpoint]], float]
"""Returns how many seconds it took until readers could see the faces."""


def state_of(camera_id: str) -> Checkpoint:
    """The state of a camera after half a minute with some visits."""
    camera = CameraTracks()
    for i in range(150):
        info = frame_info(camera_id, "mi7x4k2p1", i, 1_700_000_000.0 + i / _RATE_HZ)
        boxes = [(200.0 * n + 0.3 * i, 80.0, 200.0 * n + 60.0, 140.0) for n in range(_VISITS)]
        camera.update(info, boxes)
        if camera.is_update_due:
            camera.take_update(info, info.captured_at_s)
    return camera.checkpoint()


def faces_of(cameras: int, faces: int) -> list[Face]:
    """So many, of so many cameras."""
    chip = bytes(range(256)) * (_CHIP_BYTES // 256)
    return [
        Face(info=face_info(frame_info(f"cam{i % cameras}", sequence=i), 0), chip_jpeg=chip)
        for i in range(faces)
    ]


class Repeatable:
    """Writes, waits until it is safe, then commits the position."""

    def __init__(self, kafka: KafkaSettings, source: KafkaSource[Frame], at_the_end: ExitStack) -> None:
        self._output: KafkaOutput[Face | TrackUpdate] = at_the_end.enter_context(_opened(FACES, kafka))
        self._changelog = KafkaChangelog(CHECKPOINTS, kafka)
        self._changelog.read(_SHARE)
        at_the_end.callback(self._changelog.close)
        self._source = source

    def write(self, faces: Sequence[Face], states: Sequence[Checkpoint]) -> float:
        """States are left out where there are none."""
        started_s = time.perf_counter()
        self._output.write(faces)
        seen_s = time.perf_counter() - started_s
        self._changelog.write(states)
        until_done(self._source.commit)
        return seen_s


class Transactional:
    """All of it and the position in one transaction."""

    def __init__(
        self, kafka: KafkaSettings, source: KafkaSource[Frame], at_the_end: ExitStack, **settings: int
    ) -> None:
        self._producer = KafkaProducer(
            bootstrap_servers=kafka.bootstrap_servers,
            transactional_id=uuid.uuid4().hex,
            acks="all",
            linger_ms=0,
            batch_size=256 * 1024,
            max_request_size=3_000_000,
            **settings,
        )
        at_the_end.callback(self._producer.close, timeout=3)
        self._producer.init_transactions()
        self._prefix = kafka.topic_prefix
        self._source = source

    def write(self, faces: Sequence[Face], states: Sequence[Checkpoint]) -> float:
        """Readers that want whole transactions see the faces at the end."""
        started_s = time.perf_counter()
        self._producer.begin_transaction()
        for name, encoded in [
            *((FACES.name, FACES.codec.encode(face)) for face in faces),
            *((CHECKPOINTS.name, CHECKPOINTS.codec.encode(state)) for state in states),
        ]:
            self._producer.send(
                self._prefix + name, key=encoded.key, value=encoded.value, headers=list(encoded.headers)
            )
        offsets = {one: OffsetAndMetadata(offset, "", -1) for one, offset in self._source._done.items()}
        self._producer.send_offsets_to_transaction(offsets, self._source._consumer.group_metadata())
        self._producer.commit_transaction()
        self._source._done.clear()
        return time.perf_counter() - started_s


def _opened(topic: Any, kafka: KafkaSettings) -> Any:  # noqa: ANN401
    return opened(KafkaOutput(topic, kafka))


def measure(kafka: KafkaSettings, rounds: int, console: Console) -> None:
    """Prints the table."""
    with ExitStack() as at_the_end:
        at_the_end.enter_context(_opened(FRAMES, kafka)).write(
            [frame(f"cam{i % 8}", i) for i in range(len(_BATCHES) * rounds * _IN_A_ROW + 100)]
        )
        ways: dict[str, tuple[KafkaSource[Frame], Write, bool]] = {}

        def add(name: str, make: Callable[..., Any], with_states: bool, **settings: int) -> None:
            source = at_the_end.enter_context(opened(KafkaSource(FRAMES, f"group-{len(ways)}", kafka)))
            ways[name] = (source, make(kafka, source, at_the_end, **settings).write, with_states)

        add("repeats", Repeatable, with_states=False)
        add("repeats, with states", Repeatable, with_states=True)
        add("transaction", Transactional, with_states=False, retry_backoff_ms=1)
        add("transaction, with states", Transactional, with_states=True, retry_backoff_ms=1)
        add("the same as shipped", Transactional, with_states=True)
        for faces, cameras in _BATCHES:
            _measure_batch(ways, faces, cameras, rounds, console)
        started_s = time.perf_counter()
        newest = newest_checkpoints(KafkaChangelog(CHECKPOINTS, kafka).read(_SHARE))
        took_s = time.perf_counter() - started_s
        written = rounds * _IN_A_ROW * sum(cameras for _, cameras in _BATCHES) * _WAYS_WITH_STATES
        console.print(f"a worker that takes over all {written} states is ready after {took_s:.2f} s")
        console.print(f"a state of {_VISITS} visits: {CHECKPOINTS.codec.encode(newest[0]).size_bytes} bytes")


def _measure_batch(
    ways: dict[str, tuple[KafkaSource[Frame], Write, bool]],
    faces: int,
    cameras: int,
    rounds: int,
    console: Console,
) -> None:
    batch, states = faces_of(cameras, faces), [state_of(f"cam{i}") for i in range(cameras)]
    took_s: dict[str, list[float]] = {name: [] for name in ways}
    seen_s: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (source, write, with_states) in ways.items():
            for _ in range(_IN_A_ROW):
                _take_some(source)
                started_s = time.perf_counter()
                # A new list each time: the same one would mean the same call again.
                seen_s[name].append(write(list(batch), list(states) if with_states else []))
                took_s[name].append(time.perf_counter() - started_s)
    table = Table(title=f"{faces} faces of {cameras} cameras, {rounds * _IN_A_ROW} times")
    for column in (
        "way",
        "25 of 100 ms",
        "median ms",
        "95 of 100 ms",
        "seen after ms",
        "faces a second",
        "ratio",
    ):
        table.add_column(column, justify="right" if column != "way" else "left")
    # Other load only adds to a time, so the ratio is that of the lower quartiles.
    base_s = _quarter(took_s["repeats"])
    for name, all_s in took_s.items():
        table.add_row(
            name,
            f"{1000 * _quarter(all_s):.1f}",
            f"{1000 * statistics.median(all_s):.1f}",
            f"{1000 * statistics.quantiles(all_s, n=20)[-1]:.1f}",
            f"{1000 * _quarter(seen_s[name]):.1f}",
            f"{faces / _quarter(all_s):.0f}",
            f"{_quarter(all_s) / base_s:.1f}",
        )
    console.print(table)


def _quarter(times_s: Sequence[float]) -> float:
    """A quarter of them is shorter."""
    return statistics.quantiles(times_s, n=4)[0]


def _take_some(source: KafkaSource[Frame]) -> None:
    """Something to commit."""
    while not source.poll(1, 0.2):
        pass


def main() -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    broker = launch_broker(must_restart=False)
    try:
        kafka = KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers,
            topic_prefix=f"{uuid.uuid4().hex[:8]}-",
            partitions=_SHARE.partitions,
        )
        measure(kafka, arguments.rounds, Console(width=120))
    finally:
        broker.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
