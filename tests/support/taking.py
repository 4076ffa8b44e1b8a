"""Takes frames out of a `CameraSource` as the runner does, and keeps them with the time of their taking."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest

from agegender.services.ingest.camera_source import CameraSource
from agegender.services.ingest.config import IngestSettings
from agegender.services.ingest.sources.stream import CapturedFrame
from agegender.shared.cameras.camera import Camera
from agegender.shared.errors import BadMessage
from agegender.shared.process.metrics import Metrics

_POLL_S = 0.05


@dataclass(frozen=True)
class Taken:
    """One frame, and our wall clock when it was taken."""

    frame: CapturedFrame
    at_s: float

    @property
    def age_s(self) -> float:
        """From its capture until it was taken."""
        return self.at_s - self.frame.captured_at_s


class Taker:
    """Opens the cameras and takes their frames in a thread, until the end of the block.

    Args:
        slow_s: how long each frame is worked on.
    """

    def __init__(self, cameras: Iterable[Camera], *, slow_s: float = 0.0, **settings: float) -> None:
        self.cameras = list(cameras)
        self.metrics = Metrics(CollectorRegistry())
        self.source = CameraSource(self.cameras, IngestSettings.model_validate(settings), self.metrics)
        self.taken: list[Taken] = []
        self.exhausted = threading.Event()
        self._slow_s = slow_s
        self._paused = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="taker")
        self._closed = False

    def __enter__(self) -> Taker:
        self.source.open()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stops taking and closes the source."""
        if not self._closed:
            self._closed = True
            self._stop.set()
            self._thread.join()
            self.source.close()

    def pause(self) -> None:
        """From now on no frame is taken, but the source stays alive."""
        self._paused.set()

    def resume(self) -> None:
        """Frames are taken again."""
        self._paused.clear()

    def of(self, camera_id: str) -> list[Taken]:
        """What was taken of one camera."""
        return [one for one in self.taken if one.frame.camera_id == camera_id]

    def failures(self, camera_id: str) -> dict[str, float]:
        """Reason → how often."""
        return self.metrics.by_label("agegender_camera_failures_total", "reason", camera=camera_id)

    def is_up(self, camera_id: str) -> bool:
        """Whether the metrics say that frames come."""
        return self.metrics.total("agegender_camera_up_bool", camera=camera_id) == 1

    def balance(self, camera_id: str) -> float:
        """Frames captured, less those taken and those dropped: 0 when none is missing."""
        captured = self.metrics.total("agegender_frames_captured_total", camera=camera_id)
        dropped = self.metrics.total("agegender_messages_dropped_total", camera=camera_id)
        return captured - dropped - len(self.of(camera_id))

    def metrics_text(self) -> str:
        """All metrics as they are served."""
        return generate_latest(self.metrics.registry).decode()

    def _run(self) -> None:
        while not self._stop.is_set() and not self.exhausted.is_set():
            if self._paused.is_set():
                self.source.keep_alive()
                self._stop.wait(_POLL_S)
                continue
            for delivery in self.source.poll(len(self.cameras), _POLL_S):
                if isinstance(delivery.message, BadMessage):
                    raise TypeError("a camera's frame is never a bad message")
                self.taken.append(Taken(delivery.message, time.time()))
                self._stop.wait(self._slow_s)
            self.source.commit()
            if self.source.exhausted:
                self.exhausted.set()
