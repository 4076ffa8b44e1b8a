"""The mailbox: one place for each camera, where its reader leaves the latest frame for the pipeline."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable
from enum import Enum

from agegender.services.ingest.sources.stream import CapturedFrame


class WhenFull(Enum):
    """What a reader does while the pipeline has not taken the last frame."""

    REPLACE = "replace"
    """Live cameras: the newest frame replaces the older one, which is dropped."""
    WAIT = "wait"
    """Files: the reader waits, and no frame is dropped."""


class Mailbox:
    """One place for each camera. One condition for all, so that `take` can wait for any camera.

    Args:
        readers: the number of readers. After each has called `finished`, the mailbox is exhausted. None:
            cameras come and go, and the mailbox is never exhausted.
    """

    def __init__(self, readers: int | None) -> None:
        self._changed = threading.Condition()
        self._held: dict[str, CapturedFrame] = {}
        self._on_hold: frozenset[str] = frozenset()
        self._readers = readers
        self._closed = False

    def put(self, captured: CapturedFrame, when_full: WhenFull) -> CapturedFrame | None:
        """Leaves a frame. Returns the frame that is lost: an older one, or this one after `close`."""
        with self._changed:
            if when_full is WhenFull.WAIT:
                self._changed.wait_for(lambda: self._closed or captured.camera_id not in self._held)
            if self._closed:
                return captured
            # Removed first, so that the new frame is last in the order of arrival.
            replaced = self._held.pop(captured.camera_id, None)
            self._held[captured.camera_id] = captured
            self._changed.notify_all()
            return replaced

    def finished(self) -> None:
        """Records that one reader will leave no more frames."""
        with self._changed:
            if self._readers is not None:
                self._readers -= 1
            self._changed.notify_all()

    def take(self, max_frames: int, timeout_s: float) -> list[CapturedFrame]:
        """Waits for a frame of any camera that is not on hold, unless the mailbox is exhausted or closed.

        Returns at most one frame of each camera, the one that waits longest first.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._held.keys() - self._on_hold or self._is_exhausted or self._closed, timeout_s
            )
            free = [camera for camera in self._held if camera not in self._on_hold]
            taken = [self._held.pop(camera) for camera in free[:max_frames]]
            if taken:
                self._changed.notify_all()
            return taken

    def hold(self, camera_ids: Collection[str]) -> None:
        """Holds these cameras, and no others: `take` skips them until the next call."""
        with self._changed:
            if self._on_hold != camera_ids:
                self._on_hold = frozenset(camera_ids)
                self._changed.notify_all()

    def is_on_hold(self, camera_id: str) -> bool:
        """Whether `take` skips the camera."""
        return camera_id in self._on_hold

    @property
    def exhausted(self) -> bool:
        """Whether all readers have finished and all frames are taken."""
        with self._changed:
            return self._is_exhausted

    @property
    def _is_exhausted(self) -> bool:
        return self._readers == 0 and not self._held

    def clear(self, camera_ids: Iterable[str] | None = None) -> list[CapturedFrame]:
        """Removes and returns the frames of these cameras, or of all."""
        with self._changed:
            chosen = list(self._held) if camera_ids is None else camera_ids
            left = [self._held.pop(camera) for camera in chosen if camera in self._held]
            self._changed.notify_all()
            return left

    def close(self) -> list[CapturedFrame]:
        """Refuses frames from now on. Returns the frames that are left."""
        with self._changed:
            self._closed = True
            return self.clear()
