"""What a soak run watches: cameras with people that come and go, five services, and a reader of the API."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import yaml
from prometheus_client.parser import text_string_to_metric_families

from agegender.commands.audit.counters import scrape
from agegender.commands.audit.counting import count_all
from agegender.commands.audit.evidence import gather
from agegender.commands.audit.report import Report
from agegender.commands.audit.run import settled
from agegender.shared.kafka.client import committed_offsets
from agegender.shared.kafka.reader import KafkaReader
from agegender.shared.kafka.topics import DEAD_LETTERS_NAME, FACES, FRAMES, RESULTS
from agegender.shared.process.settings import KafkaSettings, RedisSettings
from agegender.shared.store import connect
from agegender.simulator.content.cache import cache_folder
from agegender.simulator.content.crowd_clips import street
from agegender.simulator.content.crowds import write_crowd
from agegender.simulator.content.heads import read_heads
from agegender.simulator.content.scenes import pair_scene
from agegender.simulator.rtsp.cameras import CameraSimulator
from benchmarks.overload.quota import CpuQuota
from benchmarks.soak.processes import look_at
from benchmarks.soak.recording import Flow, Look, Recording, buckets
from tests.support.api import ApiClient
from tests.support.pipeline import Distributed
from tests.support.ports import free_loopback_port
from tests.support.process_family import family_of, used_cpu_s
from tests.support.services import Service
from tests.support.waiting import wait_until

CAMERAS = ("street", "square", "door")
COMES_AND_GOES = "door"
_AWAY_EVERY_S, _AWAY_S = 20.0, 4.0
_ASK_EVERY_S = 0.5
_CATCH_UP_S = 120.0
_WORK_OFF_S = 300.0
_MEASURED_S = 20.0
_AUDITED_S = FRAMES.retention_s - 60.0
_READ_BY = {FRAMES.name: "detect", FACES.name: "classify", RESULTS.name: "sink"}
_SETTINGS = {"INGEST_FPS": "2", "SINK_SILENCE_TIMEOUT_S": "20"}


class Site:
    """A pipeline under a steady load. To be used in `running`.

    Two cameras look at people that walk past, so that visits begin and end all the time. A third goes away
    and comes back every 20 s, and a fourth was never there: the handling of failures must not leak either.

    Args:
        folder: for the logs.
        more_settings: of the services.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        redis_url: str,
        simulator: CameraSimulator,
        prefix: str,
        folder: Path,
        **more_settings: str,
    ) -> None:
        self._simulator = simulator
        clips = {
            "street": _street(6, seed=3),
            "square": _street(4, seed=8),
            "door": pair_scene(swapped=False).path,
        }
        listed = [{"id": name, "source": simulator.add(name, clips[name])} for name in CAMERAS]
        listed.append({"id": "gone", "source": f"rtsp://127.0.0.1:{free_loopback_port()}/gone"})
        cameras = folder / "cameras.yaml"
        cameras.write_text(yaml.safe_dump({"cameras": listed}))
        self.pipeline = Distributed(
            bootstrap_servers, redis_url, prefix, cameras, folder, home=None, **{**_SETTINGS, **more_settings}
        )
        settings = {"REDIS_URL": redis_url, "API_PORT": "0"}
        self.services: Mapping[str, Service] = {
            **self.pipeline.services,
            "api": Service("api", settings, folder),
        }
        self._kafka = KafkaSettings(bootstrap_servers=bootstrap_servers, topic_prefix=prefix, partitions=4)
        self._began_s = time.monotonic()
        self._stop = threading.Event()
        self.answers: Counter[str] = Counter()
        """What the API answered: `ok`, or what went wrong."""
        self.recording = Recording()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """The services run and have written their first results; they are ended at the end of the block."""
        api = self.services["api"]
        others = [
            threading.Thread(target=work, name=work.__name__, daemon=True)
            for work in (self._ask, self._come_and_go)
        ]
        try:
            with self.pipeline.running():
                api.start().wait_until_ready()
                wait_until(
                    lambda: all(self.pipeline.results_written(one) > 0 for one in CAMERAS),
                    _CATCH_UP_S,
                    "there are results of each camera",
                )
                self._began_s = time.monotonic()
                for one in others:
                    one.start()
                try:
                    yield
                finally:
                    self._stop.set()
                    for one in others:
                        one.join()
        finally:
            api.close()

    @contextlib.contextmanager
    def overloaded(self, times: float) -> Iterator[float]:
        """Detect gets so little CPU that the cameras send this many times what it can do.

        Gives the number of cores that it gets, which is measured first. 1 or less takes nothing away.
        """
        pid = self.services["detect"].pid
        if times <= 1.0:
            yield math.inf
            return
        used_s, began_s = used_cpu_s(family_of(pid)), time.monotonic()
        time.sleep(_MEASURED_S)
        needed = (used_cpu_s(family_of(pid)) - used_s) / (time.monotonic() - began_s)
        with CpuQuota(pid, needed / times):
            yield needed / times

    def look(self) -> None:
        """Adds one look at everything to the recording."""
        at_s = time.monotonic() - self._began_s
        for name, service in self.services.items():
            looks = self.recording.services.setdefault(name, [])
            looks.append(look_at(service.pid, at_s) if service.running else Look(at_s, 0.0, 0, 0, 0.0))
        self.recording.flow.append(Flow(at_s, self._delays(), self._waiting()))

    def ended_by_themselves(self) -> list[str]:
        """Services that do not run any more."""
        return [name for name, service in self.services.items() if not service.running]

    def come_to_rest(self) -> None:
        """Ends the load and waits until everything is worked off; raises TimeoutError."""
        self._stop.set()
        for camera in CAMERAS:
            self._simulator.stop_camera(camera)
        wait_until(lambda: self._waiting() == 0, _WORK_OFF_S, "nothing waits in any topic")

    def audit(self) -> Report:
        """What `agegender audit` finds in as much of the run as Kafka still holds."""
        addresses = [f"127.0.0.1:{service.port}" for service in self.pipeline.services.values()]
        window_s = min(_AUDITED_S, time.monotonic() - self._began_s + _CATCH_UP_S)

        def look() -> Report:
            redis = RedisSettings().at(self.pipeline.redis_url)
            with KafkaReader(self._kafka) as reader, connect(redis) as client:
                return Report.of(
                    count_all(gather(reader, self._kafka, client, lambda: scrape(addresses), window_s))
                )

        return settled(look)

    def dead_letters(self) -> int:
        """Messages that were given up."""
        return len(self.pipeline.records(DEAD_LETTERS_NAME))

    def _delays(self) -> Mapping[float, float]:
        text = self.services["sink"].page("/metrics")
        return buckets(
            (sample.labels["le"], sample.value)
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "agegender_delay_seconds_bucket"
        )

    def _waiting(self) -> int:
        waiting = 0
        with KafkaReader(self._kafka) as reader:
            for name, group in _READ_BY.items():
                topic = self._kafka.topic_prefix + name
                done = committed_offsets(self._kafka, self._kafka.topic_prefix + group, topic)
                begins, ends = reader.begins(topic), reader.ends(topic)
                waiting += sum(end - done.get(number, begins[number]) for number, end in ends.items())
        return waiting

    def _come_and_go(self) -> None:
        while not self._stop.wait(_AWAY_EVERY_S):
            self._simulator.stop_camera(COMES_AND_GOES)
            self._stop.wait(_AWAY_S)
            self._simulator.start_camera(COMES_AND_GOES)

    def _ask(self) -> None:
        client = ApiClient(self.services["api"].port)
        questions: list[Callable[[], str]] = [
            *(_asked(client, path) for path in ("/v1/now", "/v1/visits", "/v1/counts", "/v1/cameras", "/")),
            lambda: _listened(client),
        ]
        for question in itertools.cycle(questions):
            if self._stop.wait(_ASK_EVERY_S):
                return
            try:
                self.answers[question()] += 1
            except (OSError, http.client.HTTPException) as error:
                self.answers[type(error).__name__] += 1


def _asked(client: ApiClient, path: str) -> Callable[[], str]:
    def ask() -> str:
        status = client.get(path).status
        return "ok" if status == 200 else f"status {status}"

    return ask


def _listened(client: ApiClient) -> str:
    with client.events() as events:
        return "ok" if next(events).kind == "state" else "another event first"


def _street(people: int, seed: int) -> Path:
    """The clip, drawn once: each person crosses the picture once."""
    path = cache_folder() / "clips" / f"street-of-{people}-{seed}.mp4"
    if not path.exists():
        write_crowd(path, street(people, seed), read_heads())
    return path
