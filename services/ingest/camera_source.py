"""All cameras of a worker, as one source of captured frames."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from agegender.services.ingest.camera_clock import ClockTrust
from agegender.services.ingest.config import IngestSettings
from agegender.services.ingest.decoder.client import DecoderPool
from agegender.services.ingest.decoder.stream import IsolatedStream
from agegender.services.ingest.decoder.usage import DecoderUsage
from agegender.services.ingest.mailbox import Mailbox, WhenFull, no_interval
from agegender.services.ingest.reader import SERVICE, CameraReader, ReaderSettings, always
from agegender.services.ingest.sources.kinds import is_picture_file
from agegender.services.ingest.sources.rtsp.patience import AnswerPatience
from agegender.services.ingest.sources.stills import StillsStream
from agegender.services.ingest.sources.stream import CapturedFrame, OpenStream, Stream
from agegender.services.ingest.sources.video_file import video_stream
from agegender.services.ingest.sources.webcam import WebcamStream
from agegender.shared.cameras.camera import Camera
from agegender.shared.messages.pipeline import CameraNotice
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.stage import DropReason
from agegender.shared.runtime.transport import Delivery

log = logging.getLogger(__name__)

_CLOSE_S = 2.0  # under a third of the shortest session, so that a handover never costs the membership


class CameraSource:
    """Hands out the newest frame of each live camera and every frame of each file.

    A frame is handed out once only: a live camera has no past. Frames that are not committed at the end are
    counted as dropped. Frames lost with a crashed worker were never published. The next stream begins to
    count anew.

    Args:
        cameras: the cameras that `open` starts to read.
        change: whether `set_cameras` will be called. Such a source is never exhausted.
        may_read: whether this worker owns the cameras at the moment. All readers ask it at every frame.
        interval_s: the least time between two frames of this live camera, in seconds.
    """

    def __init__(
        self,
        cameras: Sequence[Camera],
        settings: IngestSettings,
        metrics: Metrics,
        *,
        change: bool = False,
        may_read: Callable[[], bool] = always,
        interval_s: Callable[[str], float] = no_interval,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._may_read = may_read
        self._mailbox = Mailbox(None if change else len(cameras), interval_s)
        self._decoders = DecoderPool()
        metrics.registry.register(DecoderUsage(self._decoders.processes))
        self._in_hand: list[CapturedFrame] = []
        # Replaced, never changed in place: one thread writes it while another reads it.
        self._readers: Mapping[str, tuple[Camera, CameraReader]] = {
            camera.id: (camera, self._reader(camera)) for camera in cameras
        }

    def _reader(self, camera: Camera) -> CameraReader:
        return CameraReader(
            camera.id,
            camera.source,
            _opener(camera, self._settings, self._decoders),
            self._mailbox,
            self._metrics,
            reader_settings(camera, self._settings),
            partial(self._may_look, camera.id) if camera.is_live and camera.is_complete else self._may_read,
        )

    def _may_look(self, camera_id: str) -> bool:
        """Whether to read a complete camera. It cannot wait, so it is closed while it is on hold."""
        return self._may_read() and not self._mailbox.is_on_hold(camera_id)

    def hold(self, camera_ids: Collection[str]) -> None:
        """Hands out no frames of these cameras until the next call; their readers wait."""
        self._mailbox.hold(camera_ids)

    def is_ours(self, camera_id: str) -> bool:
        """Whether this worker reads the camera."""
        return camera_id in self._readers

    @property
    def is_owner(self) -> bool:
        """Whether the cameras are ours to read and to publish at this moment."""
        return self._may_read()

    @property
    def _all(self) -> list[CameraReader]:
        return [reader for _, reader in self._readers.values()]

    def open(self) -> None:
        """Starts reading all cameras. The reader of a camera that is away tries again by itself."""
        for reader in self._all:
            reader.start()

    def set_cameras(self, cameras: Iterable[Camera]) -> None:
        """Reads these cameras from now on. Cameras that do not change are not interrupted.

        Returns when the removed and the changed cameras are closed, after 2 s at most: a camera that is
        silent at that moment closes later, by itself. One thread may call this while another polls.
        """
        wanted = {camera.id: camera for camera in cameras}
        gone = {i: reader for i, (camera, reader) in self._readers.items() if camera != wanted.get(i)}
        kept = {i: held for i, held in self._readers.items() if i not in gone}
        self._readers = kept
        self._stop(gone.values())
        for camera_id, reader in gone.items():
            self._count_dropped(self._mailbox.clear([camera_id]), DropReason.STOPPED)
            if camera_id not in wanted:
                reader.drop_gauges()
                log.info("camera released", extra={"camera": camera_id})
        new = {i: (camera, self._reader(camera)) for i, camera in wanted.items() if i not in kept}
        for camera, reader in new.values():
            changed = camera.id in gone
            log.info("camera changed" if changed else "camera taken", extra={"camera": camera.id})
            reader.start()
        self._readers = {**kept, **new}

    @staticmethod
    def _stop(readers: Collection[CameraReader]) -> None:
        for reader in readers:
            reader.stop()
        until_s = time.monotonic() + _CLOSE_S
        for reader in readers:
            if not reader.join(max(0.0, until_s - time.monotonic())):
                log.warning("camera is still closing", extra={"camera": reader.camera_id})

    def _count_dropped(self, left: Iterable[CapturedFrame], reason: DropReason) -> None:
        for one in left:
            self._metrics.dropped.labels(SERVICE, one.camera_id, reason.value).inc()

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[Delivery[CapturedFrame]]:
        """See `transport.Source`. At most one frame of each camera."""
        self.keep_alive()
        taken = self._mailbox.take(max_messages, timeout_s)
        if not self._may_read():
            # Taken before the cameras were lost: their new worker may have sent later frames already.
            self._count_dropped(taken, DropReason.STALE)
            return []
        self._in_hand += taken
        return [Delivery(one, f"{one.camera_id}/{one.stream_id}@{one.sequence}") for one in taken]

    def commit(self) -> None:
        """Marks the frames handed out as done."""
        self._in_hand.clear()

    def keep_alive(self) -> None:
        """Replaces readers that hang."""
        for reader in self._all:
            reader.watch()

    @property
    def exhausted(self) -> bool:
        """Whether every camera is a file that is read to its end."""
        return self._mailbox.exhausted

    @property
    def failures(self) -> Mapping[str, str]:
        """Camera id → why it gives no frames at the moment."""
        return {r.camera_id: str(r.failure) for r in self._all if r.failure is not None}

    @property
    def notices(self) -> Mapping[str, CameraNotice | None]:
        """Camera id → why it gives no frames at the moment, for each camera that is read; None: it does."""
        return {reader.camera_id: reader.notice for reader in self._all}

    def close(self) -> None:
        """Stops all readers and counts the frames that were not sent as dropped.

        Takes 2 s at most: a thread that waits for a hung webcam ends later, by itself.
        """
        for reader in self._all:
            reader.stop()
        self._count_dropped([*self._in_hand, *self._mailbox.close()], DropReason.STOPPED)
        self._in_hand.clear()
        self._stop(self._all)
        self._decoders.close()


def reader_settings(camera: Camera, settings: IngestSettings) -> ReaderSettings:
    """How this camera is read: a complete source waits for the pipeline, a live camera does not."""
    return ReaderSettings(
        fps=camera.fps or settings.fps,
        when_full=WhenFull.WAIT if camera.is_complete else WhenFull.REPLACE,
        reopens=camera.is_live,
        mode=camera.mode,
        smallest_face_px=camera.smallest_face_px,
        hang_s=settings.no_frame_s + settings.hung_s if camera.webcam_index is not None else None,
    )


def _opener(camera: Camera, settings: IngestSettings, decoders: DecoderPool) -> OpenStream:
    if camera.is_rtsp:
        return partial(
            IsolatedStream,
            camera,
            decoders,
            ClockTrust(camera.id),
            fps=camera.fps or settings.fps,
            longer_side_px=settings.longer_side_px,
            no_frame_s=settings.no_frame_s,
            patience=AnswerPatience(settings.answer_s),
            keyframe_s=settings.keyframe_s,
            hung_s=settings.hung_s,
        )
    if (index := camera.webcam_index) is not None:
        return lambda _: WebcamStream(index)
    return lambda _: _file_stream(camera.source)


def _file_stream(source: str) -> Stream:
    path = Path(source)
    if path.is_dir() or is_picture_file(path):
        return StillsStream(path)
    return video_stream(source)
