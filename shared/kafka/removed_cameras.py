"""Which cameras were removed from the topic `cameras`, for services that read no cameras themselves."""

from __future__ import annotations

import logging
import threading

from agegender.shared.errors import NotNow, SettingsError
from agegender.shared.kafka.table import KafkaTable
from agegender.shared.kafka.topics import CAMERAS
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.removed_series import RemovedSeries
from agegender.shared.process.settings import KafkaSettings

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 1.0
_AGAIN_S = 10.0  # after Kafka refused
_CLOSE_S = 2.0  # an answer of Kafka may take longer; the thread then ends by itself


class RemovedCameras:
    """Follows the topic in a thread of its own, and takes the series of removed cameras out of the metrics.

    While Kafka is away, or forbids this worker to read the topic, no camera counts as removed later.
    """

    def __init__(self, kafka: KafkaSettings, metrics: Metrics) -> None:
        self._table = KafkaTable(CAMERAS, kafka, kafka.camera_partitions)
        self._series = RemovedSeries(metrics)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="removed cameras", daemon=True)

    def __contains__(self, camera_id: str) -> bool:
        return camera_id in self._table.removed

    def start(self) -> None:
        """Starts the thread. May be called again."""
        if not self._thread.ident:
            self._thread.start()

    def _follow(self) -> None:
        try:
            self._follow_until_stopped()
        finally:
            self._table.close()

    def _follow_until_stopped(self) -> None:
        is_open = False
        while not self._stop.is_set():
            try:
                if not is_open:
                    self._table.open()
                    is_open = True
                self._table.refresh()
            except NotNow as error:
                log.debug("the removed cameras are not known", extra={"reason": str(error)})
                is_open = False
                self._stop.wait(_AGAIN_S)
                continue
            except SettingsError as error:
                log.error("the removed cameras are not known", extra={"reason": str(error)})
                return
            self._series.sweep(self._table.removed)
            self._stop.wait(_LOOK_EVERY_S)

    def close(self) -> None:
        """Ends the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)
