"""When a frame of a live camera is too old to be worth any work. Pure, but for a line in the log."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from agegender.shared.messages.pipeline import FrameInfo

log = logging.getLogger(__name__)

_PATIENCE_S = 10.0
_GAIN_S = 1.0
_REPEAT_LOG_S = 60.0


@dataclass
class _Lateness:
    """What is known of one camera."""

    skew_s: float = 0.0
    """By how much its frames seem older than they are."""
    since_s: float | None = None
    """Since when all of its frames were stale; None while they are not."""
    first_age_s: float = 0.0
    """How old the first of them was."""
    said_at_s: float = -_REPEAT_LOG_S


class Deadline:
    """Says which frames are stale: those of live cameras that were taken more than `deadline_s` ago.

    Dropping them is quick, so that what comes next is younger and younger, until the present is reached.
    Where it is not younger after ten seconds, nothing is late: the clock that told the time of capture is
    behind ours. Such frames are taken, and those that follow are measured against that.
    """

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._cameras: dict[str, _Lateness] = {}

    def is_stale(self, info: FrameInfo, now_s: float) -> bool:
        """Whether the frame is to be dropped at `now_s`. To be asked of each frame once, in their order."""
        if info.is_complete:
            return False
        camera = self._cameras.setdefault(info.camera_id, _Lateness())
        age_s = now_s - info.captured_at_s
        camera.skew_s = max(0.0, min(camera.skew_s, age_s))
        age_s -= camera.skew_s
        if age_s <= self._deadline_s:
            camera.since_s = None
            return False
        if camera.since_s is None:
            camera.since_s, camera.first_age_s = now_s, age_s
        if now_s < camera.since_s + _PATIENCE_S or age_s < camera.first_age_s - _GAIN_S:
            self._say("frames are too old, and dropped", info, camera, age_s, now_s)
            return True
        camera.skew_s, camera.since_s, camera.said_at_s = camera.skew_s + age_s, None, -_REPEAT_LOG_S
        self._say("frames are no younger for dropping others: clocks differ", info, camera, age_s, now_s)
        return False

    def _say(self, event: str, info: FrameInfo, camera: _Lateness, age_s: float, now_s: float) -> None:
        if now_s < camera.said_at_s + _REPEAT_LOG_S:
            return
        camera.said_at_s = now_s
        log.warning(
            event,
            extra={"camera": info.camera_id, "age_s": round(age_s, 1), "deadline_s": self._deadline_s},
        )
