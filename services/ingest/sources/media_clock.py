"""The time of a video file's frames, which only goes forward. Pure."""

from __future__ import annotations

_JUMP_FRAMES = 3


class MediaClock:
    """Gives each frame a time after that of the frame before it.

    The clock of a file runs back for two reasons. Recordings were joined: the clock restarts and goes on from
    there, so time goes on from the newest frame. Or damage puts frames out of order: the clock soon returns
    to where it was, so nothing is added.

    Args:
        frame_s: the seconds between two frames, on average.
    """

    def __init__(self, frame_s: float) -> None:
        self._frame_s = frame_s
        self._now_s: float | None = None
        self._read_s = 0.0
        self._offset_s = 0.0
        self._latest_read_s = 0.0
        self._restart_offset_s: float | None = None

    def advance(self, read_s: float | None) -> float:
        """The time of the next frame, in seconds since the first.

        Args:
            read_s: its time in the file; None if the file states none.
        """
        if self._now_s is None:
            self._now_s = read_s or 0.0
        elif read_s is None:
            self._now_s += self._frame_s
        else:
            self._now_s = self._next_s(read_s, self._now_s)
        if read_s is not None:
            self._read_s = read_s
            self._latest_read_s = max(self._latest_read_s, read_s)
        return self._now_s

    def _next_s(self, read_s: float, now_s: float) -> float:
        least_s = now_s + self._frame_s
        if self._restart_offset_s is None:
            if read_s + self._offset_s > now_s:
                return read_s + self._offset_s
            self._restart_offset_s = least_s - read_s
            return least_s
        step_s = read_s - self._read_s
        if read_s > self._latest_read_s and step_s > _JUMP_FRAMES * self._frame_s:
            self._restart_offset_s = None  # back to where it was: frames were out of order
            return max(read_s + self._offset_s, now_s + min(self._frame_s, 0.001))
        if step_s <= 0:
            self._restart_offset_s = least_s - read_s
        return read_s + self._restart_offset_s
