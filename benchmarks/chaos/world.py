"""Everything that a plan is carried out on: cameras, seven processes, a broker and a Redis that may die."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Protocol, TypeVar

from agegender.commands.audit.counters import scrape
from agegender.commands.audit.counting import count_all
from agegender.commands.audit.evidence import gather
from agegender.commands.audit.report import Report
from agegender.commands.audit.run import settled
from agegender.shared.cameras.record import CameraSettings
from agegender.shared.errors import NotNow
from agegender.shared.kafka.client import committed_offsets
from agegender.shared.kafka.reader import KafkaReader
from agegender.shared.kafka.table import KafkaTable
from agegender.shared.kafka.topic_admin import ensure_topic
from agegender.shared.kafka.topics import CAMERAS as CAMERAS_TABLE
from agegender.shared.kafka.topics import DEAD_LETTERS_NAME, FACES, FRAMES, RESULTS
from agegender.shared.messages.pipeline import FrameInfo
from agegender.shared.process.settings import KafkaSettings, RedisSettings
from agegender.shared.store import ResultStore, connect
from agegender.simulator.content.scenes import no_faces, pair_scene
from agegender.simulator.rtsp.cameras import CameraSimulator
from benchmarks.chaos.plan import SESSION_S, VICTIMS, Round
from benchmarks.chaos.verdict import Found
from tests.support.kafka_broker import KafkaBroker
from tests.support.pipeline import Distributed
from tests.support.redis_server import RedisServer
from tests.support.services import Service
from tests.support.waiting import wait_until

CAMERAS = ("door", "hall")
COMES_AND_GOES = "hall"
"""Is killed and frozen too; and falls silent at the end, while everybody leaves the other."""
REDIS_SETTINGS = {"appendfsync": "always"}
"""Redis answers only when what it was told is on the disk."""

_KEPT_S = 3600
_CATCH_UP_S = 120.0
_SILENT_S = 10
_ALL = 1_000_000
_READ_BY = {FRAMES.name: "detect", FACES.name: "classify", RESULTS.name: "sink"}
_SETTINGS = {
    "INGEST_FPS": "3",
    # All faces are classified and each begins a visit at once, so the expected content of the store is known.
    "DETECT_SELECTION": "all",
    "DETECT_CONFIRM_FRAMES": "1",
    # No outage closes a visit.
    "DETECT_LOST_S": "60",
    "SINK_SILENCE_TIMEOUT_S": str(_KEPT_S),
    # And nothing is forgotten before it was looked at.
    "SINK_CLOSED_PER_CAMERA": "100000",
    "SINK_REMEMBERED_FACES": "100000",
    "KAFKA_SESSION_TIMEOUT_S": f"{SESSION_S:g}",
}


class Victim(Protocol):
    """What can be killed and halted."""

    def kill(self) -> None: ...
    def start(self) -> object: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...


class _Camera:
    """One that goes and comes back, with a new stream, or that shows nothing new for a while."""

    def __init__(self, simulator: CameraSimulator, name: str) -> None:
        self.kill = lambda: simulator.stop_camera(name)
        self.start = lambda: simulator.start_camera(name)
        self.freeze = lambda: simulator.stall(name)
        self.thaw = lambda: simulator.resume(name)


_T = TypeVar("_T")


def patiently(look: Callable[[], _T], timeout_s: float = 30.0) -> _T:
    """What a look brings that is repeated while a server has no answer; the last NotNow passes."""
    until_s = time.monotonic() + timeout_s
    while time.monotonic() < until_s:
        with contextlib.suppress(NotNow):
            return look()
    return look()


class World:
    """A pipeline under load, with parts that can be taken away. To be used in `running`.

    Args:
        broker: running; it and `redis` are killed.
        redis: running, with data that outlives it, see REDIS_SETTINGS.
        folder: for the logs.
    """

    def __init__(
        self, broker: KafkaBroker, redis: RedisServer, simulator: CameraSimulator, prefix: str, folder: Path
    ) -> None:
        self._simulator = simulator
        for camera in CAMERAS:
            simulator.add(camera, pair_scene(swapped=camera == "hall").path)
        simulator.add("empty", no_faces().path)
        self.pipeline = Distributed(
            broker.bootstrap_servers,
            redis.url,
            prefix,
            None,
            folder,
            twice=("ingest", "detect", "classify"),
            home=None,
            **_SETTINGS,
        )
        self._services = self.pipeline.services
        passer = _Camera(simulator, COMES_AND_GOES)
        others: Mapping[str, Victim] = {
            "broker": broker,
            "redis": redis,
            "camera": passer,
        }
        self._victims: Mapping[str, Victim] = {**self._services, **others}
        self._kafka = KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers, topic_prefix=prefix, partitions=4
        )
        self._began_s = time.time()
        self._empty_since_s = float("inf")
        self.ended_by_themselves: Counter[str] = Counter()
        """Processes that ended without being killed."""
        if set(self._victims) != set(VICTIMS):
            raise ValueError(f"expected the victims {VICTIMS}, got {tuple(self._victims)}")

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """The services run and have written their first results; they are ended at the end of the block."""
        for topic in _READ_BY:
            # The audit of a long run reads all of it, so it is kept longer than pictures.
            ensure_topic(self._kafka, self._topic(topic), _KEPT_S)
        self._look_at(CAMERAS)
        with self.pipeline.running():
            wait_until(
                lambda: all(self.pipeline.results_written(camera) > 0 for camera in CAMERAS),
                _CATCH_UP_S,
                "there are results of each camera",
            )
            yield

    def carry_out(self, one: Round) -> None:
        """Takes the victim away, gives it back, and leaves all alone for the pause."""
        victim = self._victims[one.victim]
        take, give_back = (victim.kill, victim.start) if one.deed == "kill" else (victim.freeze, victim.thaw)
        take()
        try:
            time.sleep(one.lasts_s)
        finally:
            give_back()
        time.sleep(one.pause_s)
        self._start_who_ended()

    def come_to_rest(self) -> None:
        """Ends the load and waits until all is worked off and every visit is over.

        Before one camera everybody leaves, so that they are seen to be gone. The other falls silent.
        """
        self._wait_until_ready()
        for worker in self._ingests:
            worker.stop()
        self._empty_since_s = time.time()
        (door,) = set(CAMERAS) - {COMES_AND_GOES}
        self._simulator.stop_camera(COMES_AND_GOES)
        self._look_at({door: "empty", COMES_AND_GOES: COMES_AND_GOES})
        for worker in self._ingests:
            worker.start()
        self._wait_until_ready()
        wait_until(lambda: self._sent(door) >= 3, _CATCH_UP_S, f"{door} has sent frames without anybody")
        self._simulator.stop_camera("empty")
        wait_until(lambda: patiently(self._lag) == 0, _CATCH_UP_S, "nothing waits in any topic")
        self._start_who_ended()
        self._close_the_silent()

    def _close_the_silent(self) -> None:
        sink = self._services["sink"]
        sink.stop()
        sink.change(SINK_SILENCE_TIMEOUT_S=str(_SILENT_S))
        sink.start().wait_until_ready(_CATCH_UP_S)
        wait_until(lambda: patiently(self._open) == 0, _CATCH_UP_S, "the visits before a silent camera end")

    def audit(self) -> Report:
        """What `agegender audit` finds, over the whole run and with all workers asked."""
        addresses = [f"127.0.0.1:{service.port}" for service in self._services.values()]
        window_s = time.time() - self._began_s + 60

        def look() -> Report:
            with KafkaReader(self._kafka) as reader, connect(self._redis()) as client:
                evidence = gather(reader, self._kafka, client, lambda: scrape(addresses), window_s)
            return Report.of(count_all(evidence))

        return settled(look)

    def found(self) -> Found:
        """What lies at both ends; at rest only."""
        with connect(self._redis()) as client:
            store = ResultStore(client)
            closed, _ = store.closed({}, limit=_ALL)
            visits = store.visits(limit=_ALL).items
            counts = store.counts(since_s=self._began_s - 60, until_s=time.time() + 60, by="minute")
        return Found(
            frames=[info for info in self._frames() if info.published_at_s < self._empty_since_s],
            results=[one.face.face_id for camera in CAMERAS for one in self.pipeline.results(camera)],
            visits=visits,
            closed=closed,
            counted=sum(one.visits for one in counts),
        )

    def dead_letters(self) -> int:
        """Messages that were given up."""
        return len(self.pipeline.records(DEAD_LETTERS_NAME))

    def frames_published(self) -> int:
        """How many frames lie in the topic."""
        with KafkaReader(self._kafka) as reader:
            return sum(reader.ends(self._topic(FRAMES.name)).values())

    def _frames(self) -> Iterator[FrameInfo]:
        name = self._topic(FRAMES.name)
        with KafkaReader(self._kafka) as reader:
            for record in reader.read(name, reader.begins(name), reader.ends(name)):
                yield FRAMES.codec.decode(record.encoded).info

    @property
    def _ingests(self) -> list[Service]:
        return [service for service in self._services.values() if service.service == "ingest"]

    def _sent(self, camera: str) -> float:
        return sum(one.metric("agegender_messages_sent_total", camera=camera) for one in self._ingests)

    def _open(self) -> int:
        with connect(self._redis()) as client:
            return sum(one.closed is None for one in ResultStore(client).visits(limit=_ALL).items)

    def _lag(self) -> int:
        """In the order of the pipeline: what is done at one place has been handed on to the next."""
        lag = 0
        with KafkaReader(self._kafka) as reader:
            for topic, group in _READ_BY.items():
                done = committed_offsets(self._kafka, self._topic(group), self._topic(topic))
                lag += sum(reader.ends(self._topic(topic)).values()) - sum(done.values())
        return lag

    def _start_who_ended(self) -> None:
        for name, service in self._services.items():
            if not service.running:
                self.ended_by_themselves[name] += 1
                service.start()

    def _wait_until_ready(self) -> None:
        for service in self._services.values():
            service.wait_until_ready(_CATCH_UP_S)

    def _look_at(self, shown: Iterable[str] | Mapping[str, str]) -> None:
        """What the cameras show from now on: the camera of the simulator with that name."""
        table: KafkaTable[CameraSettings] = KafkaTable(
            CAMERAS_TABLE, self._kafka, self._kafka.camera_partitions
        )
        names = shown if isinstance(shown, Mapping) else {one: one for one in shown}
        wanted = {
            one: CameraSettings(id=one, source=self._simulator.url(name)) for one, name in names.items()
        }
        patiently(table.open)
        try:
            patiently(lambda: table.write(wanted))
        finally:
            table.close()

    def _topic(self, name: str) -> str:
        return self._kafka.topic_prefix + name

    def _redis(self) -> RedisSettings:
        return RedisSettings().at(self.pipeline.redis_url)
