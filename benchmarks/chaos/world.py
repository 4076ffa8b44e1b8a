"""Everything that a plan is carried out on: cameras, seven processes, brokers and two Redis that may die."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

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
from agegender.shared.messages.pipeline import FaceInfo
from agegender.shared.process.settings import KafkaSettings, RedisSettings
from agegender.shared.store import ResultStore, connect
from agegender.simulator.content.scenes import no_faces, pair_scene
from agegender.simulator.rtsp.cameras import CameraSimulator
from benchmarks.chaos.brokers import Kafka
from benchmarks.chaos.faults import HOUR_S, Cores, Deeds, PassingCamera, SteppedClock, Victim
from benchmarks.chaos.frames import FrameDeletion, FrameLog
from benchmarks.chaos.plan import OTHER_FAULTS, SESSION_S, VICTIMS, Deed, Round
from benchmarks.chaos.verdict import Found
from tests.support.pipeline import Distributed
from tests.support.redis_pair import RedisPair
from tests.support.services import Service
from tests.support.waiting import wait_until

CAMERAS = ("door", "hall")
COMES_AND_GOES = "hall"
"""Is killed and frozen too; and falls silent at the end, while everybody leaves the other. It is live, so old
frames of it are dropped. The other is complete, so every frame must be looked at."""
DEADLINE_S = 20.0
REDIS_SETTINGS = {"appendfsync": "always"}
"""Redis answers only when what it was told is on the disk."""

_KEPT_S = 3600
_LOOK_S = 2.0
_BATCH = 16  # frames that a worker of detect may have dropped and not counted when it is killed
_SEARCHED_AT_ONCE = 2
_CATCH_UP_S = 120.0
_SILENT_S = 10
_ALL = 1_000_000
_READ_BY = {FRAMES.name: "detect", FACES.name: "classify", RESULTS.name: "sink"}
_SETTINGS = {
    "INGEST_FPS": "3",
    "DETECT_STALE_S": f"{DEADLINE_S:g}",
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


_T = TypeVar("_T")


def patiently(look: Callable[[], _T], timeout_s: float = 30.0) -> _T:
    """What a look brings that is repeated while a server has no answer; the last NotNow passes."""
    until_s = time.monotonic() + timeout_s
    while time.monotonic() < until_s:
        with contextlib.suppress(NotNow):
            return look()
    return look()


def age_s(face: FaceInfo) -> float:
    """How old its frame was when detect looked at it. An hour is the clock of a worker that was set."""
    difference_s = face.detected_at_s - face.frame.captured_at_s
    return difference_s - HOUR_S * round(difference_s / HOUR_S)


class World:
    """A pipeline under load, with parts that can be taken away. To be used in `running`.

    Args:
        kafka: running; a broker and `redis` are killed.
        redis: running, with data that outlives it, see REDIS_SETTINGS.
        folder: for the logs.
    """

    def __init__(
        self, kafka: Kafka, redis: RedisPair, simulator: CameraSimulator, prefix: str, folder: Path
    ) -> None:
        self._simulator = simulator
        for camera in CAMERAS:
            simulator.add(camera, pair_scene(swapped=camera == "hall").path)
        simulator.add("empty", no_faces().path)
        self.pipeline = Distributed(
            kafka.bootstrap_servers,
            redis.url,
            prefix,
            None,
            folder,
            twice=("ingest", "detect", "classify"),
            home=None,
            **_SETTINGS,
            **kafka.settings,
        )
        self._services = self.pipeline.services
        self._kafka = KafkaSettings(
            bootstrap_servers=kafka.bootstrap_servers,
            topic_prefix=prefix,
            partitions=4,
            replication=int(kafka.settings.get("KAFKA_REPLICATION", "1")),
        )
        self.frames = FrameLog(self._kafka, [self._services[one] for one in ("detect", "detect-2")])
        self._deeds = self._all_deeds(kafka.victim, redis, folder)
        self._in_hand = 0
        self._began_s = time.time()
        self._empty_since_s = float("inf")
        self.ended_by_themselves: Counter[str] = Counter()
        """Processes that ended without being killed."""

    def _all_deeds(self, broker: Victim, redis: RedisPair, folder: Path) -> Mapping[tuple[str, Deed], Deeds]:
        passer = PassingCamera(self._simulator, COMES_AND_GOES)
        victims: Mapping[str, Victim] = {
            **self._services,
            "broker": broker,
            "redis": redis,
            "camera": passer,
        }
        deeds: dict[tuple[str, Deed], Deeds] = {}
        for name, victim in victims.items():
            deeds[name, "kill"] = (partial(self._kill, name, victim), victim.start)
            deeds[name, "freeze"] = (victim.freeze, victim.thaw)
        cores = Cores(one for name, one in self._services.items() if name.startswith(("detect", "classify")))
        deleted = FrameDeletion(self.frames)
        deeds["cores", "starve"] = (cores.take, cores.give_back)
        deeds["redis", "fail over"] = (redis.fail_over, redis.fail_over)
        deeds["redis", "fill"] = (redis.fill, redis.make_room)
        deeds["frames", "delete"] = (deleted.take, deleted.give_back)
        for name in ("ingest-2", "detect-2"):
            clock = SteppedClock(folder / f"clock of {name}")
            self._services[name].change(**clock.environment)
            deeds[name, "set the clock"] = (partial(clock.set_ahead, HOUR_S), partial(clock.set_ahead, 0.0))
        expected = {*OTHER_FAULTS, *((one, deed) for one in VICTIMS for deed in ("kill", "freeze"))}
        if set(deeds) != expected:
            raise ValueError(f"expected the faults of the plan, got {set(deeds) ^ expected} more or less")
        return deeds

    def _kill(self, name: str, victim: Victim) -> None:
        self.frames.note_counters(name)
        victim.kill()

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
        """Begins the fault, ends it, and leaves all alone for the pause."""
        take, give_back = self._deeds[one.victim, one.deed]
        if one.deed == "starve" or (one.deed == "freeze" and one.victim.startswith("detect")):
            self._in_hand += _SEARCHED_AT_ONCE
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
            # The clock of a worker was an hour ahead for a while.
            counts = store.counts(since_s=self._began_s - 60, until_s=time.time() + HOUR_S + 60, by="minute")
        frames = [one for one in self.frames.read() if one.appended_at_s < self._empty_since_s]
        results = [one for camera in CAMERAS for one in self.pipeline.results(camera)]
        return Found(
            frames=[one.info for one in frames],
            results=[one.face.face_id for one in results],
            visits=visits,
            closed=closed,
            counted=sum(one.visits for one in counts),
            live=frozenset({COMES_AND_GOES}),
            unread=self.frames.deleted_unread,
            left_out=self.frames.left_out(COMES_AND_GOES) + _BATCH * self.frames.ends_of_detect,
            ages_s=[age_s(one.face) for one in results if one.camera_id == COMES_AND_GOES],
            oldest_s=DEADLINE_S + _LOOK_S,
            in_hand=self._in_hand,
        )

    def dead_letters(self) -> int:
        """Messages that were given up."""
        return len(self.pipeline.records(DEAD_LETTERS_NAME))

    def frames_published(self) -> int:
        """How many frames lie in the topic."""
        with KafkaReader(self._kafka) as reader:
            return sum(reader.ends(self._topic(FRAMES.name)).values())

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
            one: CameraSettings(
                id=one,
                source=self._simulator.url(name),
                mode="live" if one == COMES_AND_GOES else "complete",
            )
            for one, name in names.items()
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
