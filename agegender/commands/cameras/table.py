"""The table of cameras in Kafka, as a command uses it: open, look, write, and be gone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from agegender.commands.cameras.changes import CameraChange
from agegender.commands.kafka_client import importing_kafka
from agegender.shared.cameras.record import CameraSettings
from agegender.shared.errors import BadMessage
from agegender.shared.kafka.topics import CAMERAS
from agegender.shared.process.settings import KafkaSettings

if TYPE_CHECKING:
    from agegender.shared.kafka.table import KafkaTable


class CameraTable:
    """An open table."""

    def __init__(self, table: KafkaTable[CameraSettings]) -> None:
        self._table = table

    @property
    def cameras(self) -> Mapping[str, CameraSettings | BadMessage]:
        """Camera id → its settings, or why its record is none; sorted by id."""
        return {i: entry.message for i, entry in sorted(self._table.entries.items())}

    def write(self, changes: Sequence[CameraChange]) -> None:
        """Makes the changes; raises NotNow when it is not known that all are made."""
        self._table.write({change.camera_id: change.after for change in changes})


@contextlib.contextmanager
def open_table() -> Iterator[CameraTable]:
    """The table of the Kafka that the environment names.

    Raises:
        MissingExtra: Kafka's client is not installed.
        NotNow: no broker answers.
    """
    with importing_kafka("the topic of cameras"):
        from agegender.shared.kafka.table import KafkaTable

    kafka = KafkaSettings.load()
    table = KafkaTable(CAMERAS, kafka, kafka.camera_partitions)
    try:
        table.open()
        yield CameraTable(table)
    finally:
        table.close()
