"""Where a camera's reader leaves its frames for the pipeline: one place for each camera."""

from __future__ import annotations

import threading
from enum import Enum

from services.ingest.captured import Captured


class WhenFull(Enum):
    """What a reader does when the pipeline has not taken the last frame yet."""

    REPLACE = "replace"
    """Live cameras: the newest frame takes its place, and the older is dropped."""
    WAIT = "wait"
    """Files: the reader waits, and nothing is dropped."""


class Slots:
    """One place for each camera; one condition for all, so that the taker can wait for any of them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: dict[str, Captured] = {}
        self._closed = False

    def put(self, captured: Captured, when_full: WhenFull) -> Captured | None:
        """Leaves a frame. Returns the one that is lost by it: an older one, or this one after `close`."""
        with self._changed:
            if when_full is WhenFull.WAIT:
                self._changed.wait_for(lambda: self._closed or captured.camera_id not in self._held)
            if self._closed:
                return captured
            # Taken out first, so that the place in the order of arrival is that of the new frame.
            replaced = self._held.pop(captured.camera_id, None)
            self._held[captured.camera_id] = captured
            self._changed.notify_all()
            return replaced

    def take(self, max_frames: int, timeout_s: float) -> list[Captured]:
        """Waits for a frame of any camera; hands out at most one of each, the longest waiting first."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._held), timeout_s)
            taken = [self._held.pop(camera) for camera in list(self._held)[:max_frames]]
            if taken:
                self._changed.notify_all()
            return taken

    def wake(self) -> None:
        """Lets `take` return early, because something else changed."""
        with self._changed:
            self._changed.notify_all()

    @property
    def is_empty(self) -> bool:
        """Whether no frame waits."""
        with self._changed:
            return not self._held

    def close(self) -> list[Captured]:
        """Refuses frames from now on; returns those that nobody took."""
        with self._changed:
            self._closed = True
            left = list(self._held.values())
            self._held.clear()
            self._changed.notify_all()
            return left
