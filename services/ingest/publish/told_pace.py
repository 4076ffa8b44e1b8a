"""The pace that detect has told: how often ingest takes a frame of each live camera. Pure."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agegender.shared.errors import NotNow
from agegender.shared.runtime.pace import noted_pace_hz
from agegender.shared.runtime.transport import Note

log = logging.getLogger(__name__)

_ASK_EVERY_S = 1.0
_ASK_AGAIN_S = 10.0  # a failed question takes seconds, in which nothing is sent
_RECENT_S = 10.0  # without a commit for longer, detect is away
_INTERVALS = 3.0  # or for this many times the interval that it told


@dataclass
class _Partition:
    """What detect has told about one partition."""

    offset: int
    rate_hz: float | None
    moved_at_s: float
    """When its position last changed."""


class ToldPace:
    """Keeps what detect notes with its commits, and knows which partition holds a camera.

    One thread writes frames and calls `refresh`; any thread may ask.

    Args:
        read: the notes by partition. May raise NotNow; then the last pace stays.
        monotonic: seconds of a clock that is never set.
    """

    def __init__(
        self, read: Callable[[], Mapping[int, Note]], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._partition_of: dict[str, int] = {}
        self._partitions: dict[int, _Partition] = {}
        self._ask_at_s = -float("inf")

    def note_written(self, key: bytes, partition: int) -> None:
        """Takes in that a frame of the camera with this key went to the partition."""
        with self._lock:
            self._partition_of[key.decode()] = partition

    def refresh(self) -> None:
        """Asks what detect has noted, once a second."""
        now_s = self._monotonic()
        if now_s < self._ask_at_s:
            return
        try:
            notes = self._read()
        except NotNow as error:
            log.debug("the pace is not known", extra={"reason": str(error)})
            self._ask_at_s = self._monotonic() + _ASK_AGAIN_S
            return
        self._ask_at_s = now_s + _ASK_EVERY_S
        with self._lock:
            self._partitions = {number: self._updated(number, note, now_s) for number, note in notes.items()}

    def _updated(self, number: int, note: Note, now_s: float) -> _Partition:
        before = self._partitions.get(number)
        has_moved = before is None or before.offset != note.offset
        moved_at_s = now_s if has_moved or before is None else before.moved_at_s
        return _Partition(note.offset, noted_pace_hz(note.text), moved_at_s)

    def interval_s(self, camera_id: str) -> float:
        """The least time between two frames of a live camera; 0: none is told, or detect is away.

        What detect told before it went away says nothing about the time after.
        """
        with self._lock:
            partition = self._partitions.get(self._partition_of.get(camera_id, -1))
        if partition is None or partition.rate_hz is None:
            return 0.0
        interval_s = 1.0 / partition.rate_hz
        silent_s = self._monotonic() - partition.moved_at_s
        return interval_s if silent_s < max(_RECENT_S, _INTERVALS * interval_s) else 0.0

    @property
    def is_overloaded(self) -> bool:
        """Whether live cameras are thinned at this moment, those of other ingest workers too."""
        since_s = self._monotonic() - _RECENT_S
        with self._lock:
            return any(
                one.rate_hz is not None and one.moved_at_s > since_s for one in self._partitions.values()
            )
