"""The times of a stream's frames, and their rate. Pure."""

from __future__ import annotations

from agegender.services.detect.recent_frames import RecentFrames
from agegender.services.detect.tracking.checkpoint import ClockState
from agegender.shared.messages.pipeline import FrameInfo

_JUMP_S = 2.0  # less than a confirmed track waits for its face
_NEW = ClockState()


class StreamClock:
    """The time of each frame of one stream.

    Frames of a video file are read as fast as they can be processed, so their capture times say nothing about
    how long a person was there. They get the times of a file that is played from the moment it was opened.

    The capture times of a camera may change from one clock to another. The camera's own clock is known from
    its first report on, and is used while it is not far off. Such a change must not end or begin a track. So
    while there are tracks, the time goes on by what ingest's clock measured, and keeps its offset to the
    capture times until no track is left. The same holds when a clock is set: then capture times go back, or
    go forward by more than the time that has passed.

    Args:
        state: to go on from.
        newest: the frame that the clock was last advanced to.
    """

    def __init__(self, state: ClockState = _NEW, newest: FrameInfo | None = None) -> None:
        self._file_began_s = state.file_began_s
        self._offset_s = state.offset_s
        self._recent = RecentFrames(state.latest)
        self._newest = newest

    def state(self) -> ClockState:
        """The state of the clock without the newest frame."""
        return ClockState(
            file_began_s=self._file_began_s, offset_s=self._offset_s, latest=tuple(self._recent.frames)
        )

    def advance(self, info: FrameInfo, *, has_tracks: bool) -> float:
        """The time of the next frame, in seconds since 1970."""
        now_s = self._time_s(info, has_tracks=has_tracks)
        self._newest = info
        self._recent.add(now_s, info.sequence)
        return now_s

    def _time_s(self, info: FrameInfo, *, has_tracks: bool) -> float:
        if info.media_time_s is not None:
            if self._file_began_s is None:
                self._file_began_s = max(0.0, info.captured_at_s - info.media_time_s)
            return self._file_began_s + info.media_time_s
        if not has_tracks:
            self._offset_s = 0.0
        elif self._newest is not None and _clock_changed(self._newest, info):
            self._offset_s = self.now_s + _passed_s(self._newest, info) - info.captured_at_s
        return max(0.0, info.captured_at_s + self._offset_s)

    @property
    def now_s(self) -> float:
        """The time of the newest frame."""
        return self._recent.newest_s

    @property
    def rate_hz(self) -> float | None:
        """Frames a second over the last five seconds; None with fewer than two frames."""
        return _rounded(self._recent.rate_hz)

    @property
    def captured_rate_hz(self) -> float | None:
        """The same of all captured frames, the dropped ones too."""
        return _rounded(self._recent.captured_rate_hz)


def _rounded(rate_hz: float | None) -> float | None:
    return None if rate_hz is None else round(rate_hz, 2)


def _clock_changed(before: FrameInfo, info: FrameInfo) -> bool:
    """Whether another clock gives the capture time, or the same clock was set."""
    if before.clock != info.clock:
        return True
    if before.elapsed_s is None or info.elapsed_s is None:
        return False
    step_s = info.captured_at_s - before.captured_at_s
    # A stall delays frames: more time passes than between their captures. That is no jump.
    return step_s < 0 or step_s > _passed_s(before, info) + _JUMP_S


def _passed_s(before: FrameInfo, info: FrameInfo) -> float:
    """The time between two frames, by a clock of ingest that is never set, if both have it."""
    if before.elapsed_s is not None and info.elapsed_s is not None:
        return max(0.0, info.elapsed_s - before.elapsed_s)
    return max(0.0, info.published_at_s - before.published_at_s)
