"""Which frame of a camera is the newest, also after the clock that names its streams was set back. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from agegender.shared.messages.pipeline import FrameInfo

OUTDATED_S = 5.0
"""Without a newer frame for this long, a frame of any other stream is newer. A camera counts as silent only
later."""


@dataclass(frozen=True, slots=True)
class NewestFrame:
    """The newest frame of a camera so far.

    Streams are named by the time they began, so messages may come in any order. But that time comes from the
    clock of ingest, which may have been wrong. The store's own clock then decides.
    """

    stream_id: str = ""
    sequence: int = -1
    written_at_s: float = 0.0
    """By the same clock as `now_s` below."""

    def is_before(self, frame: FrameInfo, now_s: float) -> bool:
        """Whether `frame` is newer at `now_s`."""
        if frame.stream_id == self.stream_id:
            return frame.sequence > self.sequence
        return frame.stream_id > self.stream_id or now_s > self.written_at_s + OUTDATED_S
