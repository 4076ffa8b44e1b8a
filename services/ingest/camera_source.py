"""All cameras of a worker as one source of captured pictures."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.ingest.camera_clock import ClockTrust
from services.ingest.captured import Captured, OpenStream
from services.ingest.config import IngestSettings
from services.ingest.reader import SERVICE, CameraReader, ReaderSettings
from services.ingest.rtsp import open_rtsp
from services.ingest.slot import Slots, WhenFull
from services.ingest.stills import SUFFIXES, StillsStream
from services.ingest.video_file import VideoFileStream
from services.ingest.webcam import WebcamStream
from shared.cameras import Camera
from shared.metrics import Metrics
from shared.stage import DropReason
from shared.transport import Delivery

_CLOSE_S = 2.0
_HANG_GRACE_S = 5.0  # what connecting may take beyond the time without a frame


class CameraSource:
    """Hands out the newest frame of each live camera and every frame of each file.

    A frame handed out cannot be asked for again: a live camera has no past. What was not committed by the end
    is counted as dropped. What is lost with a crashed worker was never published, and the next stream begins
    a new count.
    """

    def __init__(self, cameras: Sequence[Camera], settings: IngestSettings, metrics: Metrics) -> None:
        self._slots = Slots(len(cameras))
        self._metrics = metrics
        self._in_hand: list[Captured] = []
        self._readers = [
            CameraReader(
                camera.id,
                camera.source,
                _opener(camera, settings),
                self._slots,
                metrics,
                reader_settings(camera, settings),
            )
            for camera in cameras
        ]

    def open(self) -> None:
        """Starts reading all cameras; one that is away is tried again by its own reader."""
        for reader in self._readers:
            reader.start()

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[Delivery[Captured]]:
        """See `transport.Source`; at most one frame of each camera."""
        self.keep_alive()
        taken = self._slots.take(max_messages, timeout_s)
        self._in_hand += taken
        return [Delivery(one, f"{one.camera_id}/{one.stream_id}@{one.sequence}") for one in taken]

    def commit(self) -> None:
        """Forgets what was handed out."""
        self._in_hand.clear()

    def keep_alive(self) -> None:
        """Gives up on readers that hang."""
        for reader in self._readers:
            reader.watch()

    @property
    def exhausted(self) -> bool:
        """True when every camera is a file and all are read."""
        return self._slots.exhausted

    @property
    def failures(self) -> Mapping[str, str]:
        """Camera id → why it gives no frames at the moment."""
        return {r.camera_id: str(r.failure) for r in self._readers if r.failure is not None}

    def close(self) -> None:
        """Stops all readers; frames that were not sent are counted as dropped.

        Takes 2 s at most: a thread that waits for a silent camera is left to end by itself.
        """
        for reader in self._readers:
            reader.stop()
        for left in (*self._in_hand, *self._slots.close()):
            self._metrics.dropped.labels(SERVICE, left.camera_id, DropReason.STOPPED.value).inc()
        self._in_hand.clear()
        until_s = time.monotonic() + _CLOSE_S
        for reader in self._readers:
            reader.join(max(0.0, until_s - time.monotonic()))


def reader_settings(camera: Camera, settings: IngestSettings) -> ReaderSettings:
    """How this camera is read: files wait for us, while a live camera goes on whether we look or not."""
    return ReaderSettings(
        fps=camera.fps or settings.fps,
        when_full=WhenFull.REPLACE if camera.is_live else WhenFull.WAIT,
        reopens=camera.is_live,
        hang_s=settings.no_frame_s + _HANG_GRACE_S,
    )


def _opener(camera: Camera, settings: IngestSettings) -> OpenStream:
    if camera.is_rtsp:
        trust = ClockTrust(camera.id)
        return lambda: open_rtsp(camera, trust, settings.no_frame_s)
    if (index := camera.webcam_index) is not None:
        return lambda: WebcamStream(index)
    path = Path(camera.source)
    if path.is_dir() or path.suffix.lower() in SUFFIXES:
        return lambda: StillsStream(path)
    return lambda: VideoFileStream(camera.source)
