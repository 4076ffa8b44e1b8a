"""The mailbox: one place for each camera, where its reader leaves the latest frame for the pipeline."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Iterable
from enum import Enum

from agegender.services.ingest.sources.stream import CapturedFrame
from agegender.shared.runtime.pace import due_since_s


class WhenFull(Enum):
    """What a reader does while the pipeline has not taken the last frame."""

    REPLACE = "replace"
    """Live cameras: the newest frame replaces the older one, which is dropped."""
    WAIT = "wait"
    """Files: the reader waits, and no frame is dropped."""


def no_interval(_camera_id: str) -> float:
    """Takes the frames of each camera as they come."""
    return 0.0


class Mailbox:
    """One place for each camera. One condition for all, so that `take` can wait for any camera.

    Live cameras take turns. A newer frame keeps the turn of the older one, so that each camera is taken
    equally often and its frames are evenly spaced. Files come after all live cameras.

    Args:
        readers: the number of readers. After each has called `finished`, the mailbox is exhausted. None:
            cameras come and go, and the mailbox is never exhausted.
        interval_s: the least time between two frames of this live camera, in seconds.
        monotonic: seconds of a clock that is never set.
    """

    def __init__(
        self,
        readers: int | None,
        interval_s: Callable[[str], float] = no_interval,
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._changed = threading.Condition()
        self._interval_s = interval_s
        self._monotonic = monotonic
        self._held: dict[str, CapturedFrame] = {}
        """In the order of their turns."""
        self._complete: set[str] = set()
        """The cameras whose readers wait."""
        self._last_due_s: dict[str, float] = {}
        """When the last frame of each live camera was to be taken."""
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
            (self._complete.add if when_full is WhenFull.WAIT else self._complete.discard)(captured.camera_id)
            replaced = self._held.get(captured.camera_id)
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
        """Waits for a frame that may be taken, unless the mailbox is exhausted or closed.

        Returns at most one frame of each camera, live cameras first, the one that waits longest before the
        others. A camera on hold is skipped, and so is a live camera until its interval is over.
        """
        until_s = self._monotonic() + timeout_s
        with self._changed:
            while True:
                now_s = self._monotonic()
                waits_s = {
                    camera: self._wait_s(camera, now_s) for camera in self._held.keys() - self._on_hold
                }
                if any(wait_s <= 0 for wait_s in waits_s.values()) or self._is_exhausted or self._closed:
                    break
                if now_s >= until_s:
                    return []
                self._changed.wait(min([until_s - now_s, *waits_s.values()]))
            ready = [camera for camera in self._held if waits_s.get(camera, 1.0) <= 0]
            # Sorting keeps the order of the turns among live cameras, and among the others.
            chosen = sorted(ready, key=self._complete.__contains__)[:max_frames]
            for camera in chosen:
                self._note_taken(camera, now_s)
            taken = [self._held.pop(camera) for camera in chosen]
            if taken:
                self._changed.notify_all()
            return taken

    def _wait_s(self, camera_id: str, now_s: float) -> float:
        """Seconds until the camera may be taken; 0 or less: now."""
        if camera_id in self._complete:
            return 0.0
        return self._last_due_s.get(camera_id, -math.inf) + self._interval_s(camera_id) - now_s

    def _note_taken(self, camera_id: str, now_s: float) -> None:
        interval_s = self._interval_s(camera_id)
        due_s = self._last_due_s.get(camera_id, -math.inf) + interval_s
        self._last_due_s[camera_id] = due_since_s(due_s, now_s, interval_s)

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
            chosen = list(self._held if camera_ids is None else camera_ids)
            left = [self._held.pop(camera) for camera in chosen if camera in self._held]
            for camera in chosen:
                self._last_due_s.pop(camera, None)
                self._complete.discard(camera)
            self._changed.notify_all()
            return left

    def close(self) -> list[CapturedFrame]:
        """Refuses frames from now on. Returns the frames that are left."""
        with self._changed:
            self._closed = True
            return self.clear()
