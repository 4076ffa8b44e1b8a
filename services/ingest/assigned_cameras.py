"""The cameras of the topic `cameras` that the consumer group assigns to this worker."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence, Set
from pathlib import Path

from agegender.services.ingest.camera_source import CameraSource
from agegender.services.ingest.config import IngestSettings
from agegender.services.ingest.mailbox import no_interval
from agegender.services.ingest.reader import SERVICE
from agegender.services.ingest.sources.stream import CapturedFrame
from agegender.shared.cameras.camera import Camera
from agegender.shared.cameras.record import CameraSettings
from agegender.shared.errors import BadMessage, NotNow
from agegender.shared.kafka.group import KafkaGroup
from agegender.shared.kafka.table import KafkaTable, TableEntry
from agegender.shared.kafka.topics import CAMERAS
from agegender.shared.messages.pipeline import CameraNotice
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.removed_series import RemovedSeries
from agegender.shared.process.secrets import mask_message
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.transport import Delivery

log = logging.getLogger(__name__)

_POLL_S = 0.1
_AGAIN_S = 1.0  # between tries while Kafka refuses
_NOT_YET = "Kafka: the group has not assigned its cameras yet"
_LOST = "Kafka: no answer for too long; another worker may have the cameras"
_HUNG_S = 30.0  # a worker that neither takes frames nor calls `keep_alive` for so long gives its cameras away


class AssignedCameras:
    """A source of frames with cameras that change while it runs.

    A thread of its own takes part in the group, so that cameras are handed over in time even if the stage is
    slow. `CameraSource` does the rest.

    Args:
        interval_s: see `CameraSource`.
    """

    def __init__(
        self,
        settings: IngestSettings,
        kafka: KafkaSettings,
        metrics: Metrics,
        interval_s: Callable[[str], float] = no_interval,
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._table: KafkaTable[CameraSettings] = KafkaTable(CAMERAS, kafka, kafka.camera_partitions)
        self._group = KafkaGroup(self._table.name, SERVICE, kafka, self._weights, self._give_up)
        self._cameras = CameraSource(
            (), settings, metrics, change=True, may_read=self._group.is_ours, interval_s=interval_s
        )
        self._series = RemovedSeries(metrics)
        self._thread = threading.Thread(target=self._follow, name="cameras of the group", daemon=True)
        self._stop = threading.Event()
        self._turned_at_s = 0.0
        self._error: Exception | None = None
        self._bad: Set[str] = frozenset()
        self._held: Set[int] = frozenset()
        self._number = 0
        metrics.known_cameras.set_function(lambda: len(self._table.entries))
        metrics.held_cameras.set_function(lambda: self._number if self._group.is_ours() else 0)

    def open(self) -> None:
        """Reads the list of cameras and joins the group. The assignment follows soon after."""
        self._table.open()
        self._group.open()
        self._turned_at_s = time.monotonic()
        if not self._table.entries:
            log.warning(
                "there are no cameras yet: add them with `agegender cameras add`",
                extra={"topic": self._table.name},
            )
        self._thread.start()

    def _follow(self) -> None:
        try:
            while not self._stop.is_set():
                if time.monotonic() > self._turned_at_s + _HUNG_S:
                    self._stop.wait(_POLL_S)
                    continue
                try:
                    self._group.poll(_POLL_S)
                    if self._table.refresh() or self._group.held != self._held:
                        self._take(self._group.held)
                    self._series.sweep(self._table.removed)
                except NotNow as error:
                    log.warning("waiting", extra={"service": SERVICE, "reason": str(error)})
                    self._stop.wait(_AGAIN_S)
        except Exception as error:  # noqa: BLE001  (raised again by `poll`)
            self._error = error

    def _take(self, held: Set[int]) -> None:
        """Reads the cameras of these partitions, and no others."""
        found = {
            one.origin: self._camera(one) for one in self._table.entries.values() if one.partition in held
        }
        self._report({origin: one for origin, one in found.items() if isinstance(one, str)})
        cameras = [one for one in found.values() if isinstance(one, Camera)]
        self._cameras.set_cameras(cameras)
        self._number = len(cameras)
        if held != self._held:
            log.info("partitions held", extra={"partitions": len(held), "cameras": len(cameras)})
            self._held = held

    def _camera(self, entry: TableEntry[CameraSettings]) -> Camera | str:
        """The camera, or the reason why this worker does not read it."""
        if isinstance(entry.message, BadMessage):
            return str(entry.message)
        camera = entry.message.camera()
        if camera.kind not in self._settings.allowed_sources:
            return f"camera {camera.id}: INGEST_ALLOWED_SOURCES does not allow {camera.kind}"
        folder = self._settings.secrets_path
        try:
            is_ours = camera.password_file is None or _lies_in(camera.password_file, folder)
        except (ValueError, OSError, RuntimeError) as error:  # not a path, or a loop of links
            return f"camera {camera.id}: its password_file cannot be followed: {error}"
        if not is_ours:
            return f"camera {camera.id}: its password_file is not in INGEST_SECRETS_PATH, {str(folder)!r}"
        return camera

    def _report(self, bad: Mapping[str, str]) -> None:
        """Counts and logs each excluded record once."""
        for origin in bad.keys() - self._bad:
            self._metrics.bad.labels(SERVICE).inc()
            log.error("camera excluded", extra={"origin": origin, "reason": mask_message(bad[origin])})
        self._bad = bad.keys()

    def _give_up(self, partitions: Set[int]) -> None:
        """Called by a thread of the Kafka client, while `_follow` waits for it."""
        self._take(self._held - partitions)

    def _weights(self) -> Mapping[int, int]:
        return Counter(one.partition for one in self._table.entries.values())

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[Delivery[CapturedFrame]]:
        """See `transport.Source`. At most one frame of each camera.

        Raises:
            NotNow: this worker is not in the group, or not sure to be.
        """
        self.keep_alive()
        if self._error is not None:
            raise self._error
        if not self._group.is_ours():
            self._cameras.poll(max_messages, 0.0)  # counts the frames taken before as dropped
            raise NotNow(_LOST if self._held else _NOT_YET)
        return self._cameras.poll(max_messages, timeout_s)

    def commit(self) -> None:
        """Marks the frames handed out as done."""
        self._cameras.commit()

    def hold(self, camera_ids: Collection[str]) -> None:
        """Hands out no frames of these cameras until the next call; their readers wait."""
        self._cameras.hold(camera_ids)

    def is_ours(self, camera_id: str) -> bool:
        """Whether the last assignment included the camera."""
        return self._cameras.is_ours(camera_id)

    @property
    def is_owner(self) -> bool:
        """False while this worker is not in the group, or is not sure to be."""
        return self._cameras.is_owner

    @property
    def notices(self) -> Mapping[str, CameraNotice | None]:
        """See `CameraSource.notices`."""
        return self._cameras.notices

    def keep_alive(self) -> None:
        """Tells the group that this worker still works."""
        self._turned_at_s = time.monotonic()
        self._cameras.keep_alive()

    @property
    def exhausted(self) -> bool:
        """Never: more cameras may come at any time."""
        return False

    def close(self) -> None:
        """Stops reading, then leaves the group, so that other workers take the cameras over at once."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self._cameras.close()
        self._group.close()
        self._table.close()


def _lies_in(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())
