"""Decides which frames of live cameras are too old to process. Pure, except for its log lines.

The age of a frame is a difference between two clocks: of the host that published it, and of this one. If the
clocks differ, so does the age. Lateness and a wrong clock look the same then, and dropping frames cannot tell
them apart: under lasting overload frames stay old however many are dropped.

The order of events does not depend on any clock. Ingest publishes a frame after Kafka has confirmed the
frame before it. If Kafka did not have that earlier frame yet when this process asked, then the later frame
was published after the question. So it has waited no longer than the time since the question.

A clock that is set in the middle of a stream shows at once: each frame also says how much time has passed by
a clock that is never set.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from agegender.shared.messages.pipeline import FrameInfo

log = logging.getLogger(__name__)

_CLOCK_TOLERANCE_S = 1.0
_JUMP_S = 1.5
_CHANGE_S = 12.0  # more than the clock of a camera that is used may differ, with the way of a frame
_LOG_AFTER_S = 10.0
_REPEAT_LOG_S = 60.0
_REPEAT_CLOCK_LOG_S = 3600.0


class _Absence(NamedTuple):
    """Kafka did not have the frame with this `published_at_s` at the time `at_s` of our monotonic clock."""

    published_at_s: float
    at_s: float


@dataclass
class _Camera:
    """What is known of the frames of one camera, and of the clock that stamped them."""

    stream_id: str = ""
    absences: deque[_Absence] = field(default_factory=deque)
    """Of the current stream, in the order of the frames. One for each question to Kafka."""
    least_s: float = -math.inf
    """Our clock is ahead of that of ingest by at least this much (negative: behind)."""
    most_s: float = math.inf
    """It is ahead by at most this much. No frame is read before it is published."""
    stale_since_s: float | None = None
    """Since when all of its frames were stale; None while they are not."""
    logged_at_s: float = -_REPEAT_LOG_S
    last_read: FrameInfo | None = None
    last_admitted: FrameInfo | None = None

    def start(self, stream_id: str) -> None:
        """Forgets what is known of the clock."""
        self.stream_id, self.least_s, self.most_s = stream_id, -math.inf, math.inf
        self.absences.clear()

    def learn(self, seems_s: float, longest_wait_s: float | None) -> None:
        """Takes in a frame that seems to have waited for `seems_s` by the two clocks."""
        least_s = -math.inf if longest_wait_s is None else seems_s - longest_wait_s
        if seems_s < self.least_s or least_s > self.most_s:
            # A clock was set.
            self.least_s, self.most_s = -math.inf, math.inf
        self.least_s, self.most_s = max(self.least_s, least_s), min(self.most_s, seems_s)

    @property
    def is_clock_wrong(self) -> bool:
        """Whether the clocks certainly differ by more than the tolerance."""
        return self.least_s > _CLOCK_TOLERANCE_S or self.most_s < -_CLOCK_TOLERANCE_S

    @property
    def correction_s(self) -> float:
        """To subtract from a time between the two clocks. The result is never less than the true time."""
        return self.least_s if self.is_clock_wrong else 0.0


class Deadline:
    """Rejects frames of live cameras that were captured more than `deadline_s` ago.

    Without `note_read`, the clocks are trusted. That is right where both are the same clock.

    Args:
        monotonic: seconds of a clock that is never set.
    """

    def __init__(self, deadline_s: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._deadline_s = deadline_s
        self._monotonic = monotonic
        self._cameras: dict[str, _Camera] = {}
        self._wall_minus_monotonic_s: float | None = None
        self._clock_logged_at_s = -math.inf

    def note_read(self, info: FrameInfo, absent_at_s: float) -> None:
        """Takes note that Kafka did not have this frame yet at `absent_at_s`, by the monotonic clock.

        Call it in the order of the frames, before `admit` of the same frame.
        """
        camera = self._cameras.setdefault(info.camera_id, _Camera())
        set_by_s = _clock_set_by_s(camera.last_read, info)
        camera.last_read = info
        if set_by_s:
            moved = [_Absence(one.published_at_s + set_by_s, one.at_s) for one in camera.absences]
            camera.absences = deque(moved)
        if info.stream_id != camera.stream_id:
            # Another ingest worker may have published it, by another clock.
            camera.start(info.stream_id)
        elif camera.absences and info.published_at_s < camera.absences[-1].published_at_s:
            # The clock of ingest was set back.
            camera.start(info.stream_id)
        if not camera.absences or absent_at_s > camera.absences[-1].at_s:
            camera.absences.append(_Absence(info.published_at_s, absent_at_s))

    def admit(self, info: FrameInfo, now_s: float) -> bool:
        """True when the frame is to be processed, False when it is stale. Learns from each frame.

        Call it once for each frame, in the order of the frames. `now_s`: seconds since 1970.
        """
        if info.is_complete:
            return True
        self._follow_own_clock(now_s)
        camera = self._cameras.setdefault(info.camera_id, _Camera())
        self._learn(camera, info, now_s)
        is_stale = self.is_stale(info, now_s)
        self._log_stale(camera, info, now_s, is_stale=is_stale)
        return not is_stale

    def _follow_own_clock(self, now_s: float) -> None:
        """If our own clock was set, its difference to the others has changed by as much."""
        offset_s = now_s - self._monotonic()
        before_s, self._wall_minus_monotonic_s = self._wall_minus_monotonic_s, offset_s
        if before_s is None or abs(offset_s - before_s) <= _JUMP_S:
            return
        for camera in self._cameras.values():
            camera.least_s += offset_s - before_s
            camera.most_s += offset_s - before_s

    def is_stale(self, info: FrameInfo, now_s: float) -> bool:
        """Whether the frame is too old at `now_s`, by all that is known of its camera."""
        if info.is_complete:
            return False
        camera = self._cameras.get(info.camera_id)
        correction_s = 0.0 if camera is None else camera.correction_s
        return now_s - info.captured_at_s - correction_s > self._deadline_s

    def waited_s(self, info: FrameInfo, now_s: float) -> float:
        """How long ago the frame was published, by all that is known of the clock of its ingest."""
        camera = self._cameras.get(info.camera_id)
        correction_s = 0.0 if camera is None else camera.correction_s
        return max(0.0, now_s - info.published_at_s - correction_s)

    def _learn(self, camera: _Camera, info: FrameInfo, now_s: float) -> None:
        if info.stream_id != camera.stream_id:
            camera.start(info.stream_id)
        set_by_s = _clock_set_by_s(camera.last_admitted, info)
        camera.last_admitted = info
        camera.least_s, camera.most_s = camera.least_s - set_by_s, camera.most_s - set_by_s
        # Of the absences before this frame, later frames need the last one only.
        while len(camera.absences) > 1 and camera.absences[1].published_at_s < info.published_at_s:
            camera.absences.popleft()
        longest_wait_s = None
        if camera.absences and camera.absences[0].published_at_s < info.published_at_s:
            longest_wait_s = self._monotonic() - camera.absences[0].at_s
        camera.learn(now_s - info.published_at_s, longest_wait_s)
        if camera.is_clock_wrong and camera.least_s > -math.inf:
            self._log_clock(info, camera.least_s)

    def _log_clock(self, info: FrameInfo, behind_s: float) -> None:
        """Logs that the clock of ingest is behind ours by about this much; negative: ahead."""
        now_s = self._monotonic()
        if now_s < self._clock_logged_at_s + _REPEAT_CLOCK_LOG_S:
            return
        self._clock_logged_at_s = now_s
        log.warning(
            "the clock of an ingest host differs, set the clocks of all hosts by NTP",
            extra={
                "camera": info.camera_id,
                "behind_s": round(behind_s, 1),
                "deadline_s": self._deadline_s,
            },
        )

    def _log_stale(self, camera: _Camera, info: FrameInfo, now_s: float, *, is_stale: bool) -> None:
        """Logs when frames have been stale for a while. A short backlog is only counted."""
        since_s = self._monotonic()
        if not is_stale:
            camera.stale_since_s = None
            return
        if camera.stale_since_s is None:
            camera.stale_since_s = since_s
        if since_s < max(camera.stale_since_s + _LOG_AFTER_S, camera.logged_at_s + _REPEAT_LOG_S):
            return
        camera.logged_at_s = since_s
        log.warning(
            "dropping stale frames",
            extra={
                "camera": info.camera_id,
                "age_by_clock_s": round(now_s - info.captured_at_s, 1),
                "deadline_s": self._deadline_s,
            },
        )


def _clock_set_by_s(before: FrameInfo | None, info: FrameInfo) -> float:
    """By how much the clock of ingest was set forward between two frames of a stream; 0: it was not set.

    Only times of arrival come from that clock. The clock of a camera that is used differs by seconds at most.
    """
    if before is None or before.stream_id != info.stream_id or before.clock == info.clock == "camera":
        return 0.0
    if before.elapsed_s is None or info.elapsed_s is None:
        return 0.0
    set_by_s = info.captured_at_s - before.captured_at_s - (info.elapsed_s - before.elapsed_s)
    return set_by_s if abs(set_by_s) > (_JUMP_S if before.clock == info.clock else _CHANGE_S) else 0.0
