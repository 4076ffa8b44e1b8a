"""The four stages in one process, each in a thread, with memory topics between them.

The parts are those of the distributed services; only the topics differ. A stop reaches ingest alone: it
closes its topic, and each stage ends when the one before it has, so that every frame on its way is finished.
Where the store takes nothing, that would never end: after a while the stop reaches the other stages too.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from agegender.services.classify.build import build_classify_stage
from agegender.services.classify.config import ClassifySettings
from agegender.services.detect.build import build_detect_stage
from agegender.services.detect.config import DetectSettings
from agegender.services.ingest.camera_source import CameraSource
from agegender.services.ingest.config import IngestSettings
from agegender.services.ingest.publish.notices import NotedCameras
from agegender.services.sink.config import SinkSettings
from agegender.services.sink.stage import SinkStage
from agegender.shared.cameras.camera import Camera
from agegender.shared.kafka.topics import FACES, FRAMES, RESULTS
from agegender.shared.messages.codec import STORED_CODEC
from agegender.shared.messages.pipeline import Preview, Stored, Traceable
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.dead_letters import LoggedDeadLetters
from agegender.shared.runtime.memory import MemoryTopic
from agegender.shared.runtime.runner import BatchLimits, Runner
from agegender.shared.runtime.service import Runnable
from agegender.shared.runtime.stage import Stage
from agegender.shared.runtime.transport import Output, Source, SplitOutput

_FRAMES_ON_THE_WAY = 2  # for each thread of detect, to keep it busy; all others wait in the mailbox
_FACES_ON_THE_WAY = 256
_LOOK_EVERY_S = 0.2
_DRAIN_S = 8.0  # for the frames on their way, after the stop
_GRACE_S = 2.0  # for the batch in hand of each stage, after that

In = TypeVar("In", bound=Traceable)
Out = TypeVar("Out", bound=Traceable)


@dataclass(frozen=True)
class PipelineSettings:
    """The settings of the four services."""

    ingest: IngestSettings = field(default_factory=IngestSettings)
    detect: DetectSettings = field(default_factory=DetectSettings)
    classify: ClassifySettings = field(default_factory=ClassifySettings)
    sink: SinkSettings = field(default_factory=SinkSettings)

    @classmethod
    def load(cls) -> PipelineSettings:
        """From the environment, as the services read them; raises SettingsError."""
        return cls(IngestSettings.load(), DetectSettings.load(), ClassifySettings.load(), SinkSettings.load())


class Pipeline:
    """From cameras to wherever results go, in one process.

    Args:
        results_to: where results go; closed at the end of `run`.
        metrics: one set for all four stages.
    """

    def __init__(
        self,
        cameras: Sequence[Camera],
        settings: PipelineSettings,
        results_to: Output[Stored],
        metrics: Metrics,
    ) -> None:
        frames = MemoryTopic(FRAMES.name, FRAMES.codec, _FRAMES_ON_THE_WAY * settings.detect.threads)
        faces = MemoryTopic(FACES.name, FACES.codec, _FACES_ON_THE_WAY)
        results = MemoryTopic(RESULTS.name, STORED_CODEC, _FACES_ON_THE_WAY)
        self._metrics = metrics
        metrics.known_cameras.set(len(cameras))
        metrics.held_cameras.set(len(cameras))
        metrics.device.labels("classify", settings.classify.device, settings.classify.nets).set(1)
        self._break_off = (frames.break_off, faces.break_off, results.break_off)
        self.healths: list[Health] = []
        self.cameras = CameraSource(cameras, settings.ingest, metrics)
        self._ingest = self._runner(
            "ingest",
            NotedCameras(self.cameras, results.output()),
            settings.ingest.stage(),
            frames.output(),
            BatchLimits(),  # one at a time: the mailbox decides as late as it can
        )
        detect = build_detect_stage(settings.detect)
        self._rest = (
            self._runner(
                "detect",
                frames.source(),
                detect,
                SplitOutput(Preview, results.output(), faces.output()),
                settings.detect.batch(),
                detect.finish,
            ),
            self._runner(
                "classify",
                faces.source(),
                build_classify_stage(settings.classify),
                results.output(),
                settings.classify.batch(),
            ),
            self._runner(
                "sink",
                results.source(),
                SinkStage(),
                results_to,
                BatchLimits(settings.sink.batch_messages),
            ),
        )
        self._broken = threading.Event()
        self._given_up = threading.Event()
        self._error: Exception | None = None

    def run(self, stop: threading.Event) -> None:
        """Works until `stop` is set or all cameras are files that are read, then finishes what is on its way.

        Takes 10 s at most after the stop. What the store has not taken by then is lost, and the log says so.

        Raises:
            Exception: the first error that ended a stage.
        """
        work: list[tuple[Runnable, ...] | tuple[Runnable, threading.Event]] = [(self._ingest, stop)]
        work += [(runner,) for runner in self._rest]
        threads = [threading.Thread(target=self._run_stage, args=one, daemon=True) for one in work]
        for thread in threads:
            thread.start()
        self._wait_for(threads, stop)
        if self._error is not None:
            raise self._error

    def _wait_for(self, threads: Sequence[threading.Thread], stop: threading.Event) -> None:
        give_up_at_s: float | None = None
        while running := [thread for thread in threads if thread.is_alive()]:
            running[0].join(_LOOK_EVERY_S)
            if stop.is_set() and give_up_at_s is None:
                give_up_at_s = time.monotonic() + _DRAIN_S
            if give_up_at_s is not None and time.monotonic() > give_up_at_s:
                self._given_up.set()

    def _runner(
        self,
        service: str,
        source: Source[In],
        stage: Stage[In, Out],
        output: Output[Out],
        batch: BatchLimits,
        last_words: Callable[[], Sequence[Out]] = tuple,
    ) -> Runner[In, Out]:
        health = Health(service, self._metrics)
        self.healths.append(health)
        return Runner(
            service,
            source,
            stage,
            output,
            LoggedDeadLetters(),
            metrics=self._metrics,
            health=health,
            batch=batch,
            grace_s=_GRACE_S,
            last_words=last_words,
        )

    def _run_stage(self, runner: Runnable, *stops: threading.Event) -> None:
        try:
            runner.run(_AnyOf(*stops, self._broken, self._given_up))
        except Exception as error:  # noqa: BLE001  (raised again by `run`)
            self._error = self._error or error
            self._broken.set()
            for break_off in self._break_off:
                break_off()


class _AnyOf:
    """A stop signal that is set when any of some events is."""

    def __init__(self, *events: threading.Event) -> None:
        self._events = events

    def is_set(self) -> bool:
        """Whether one is set."""
        return any(event.is_set() for event in self._events)

    def wait(self, timeout: float | None = None) -> bool:
        """Waits a moment for the first, and looks at all of them."""
        if not self.is_set():
            self._events[0].wait(min(timeout or _LOOK_EVERY_S, _LOOK_EVERY_S))
        return self.is_set()
