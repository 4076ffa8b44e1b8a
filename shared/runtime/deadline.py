"""Decides which frames of live cameras are too old to process. Pure, except for its log lines."""

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
    """The state of one camera."""

    skew_s: float = 0.0
    """How much older its frames seem than they are, because clocks differ."""
    since_s: float | None = None
    """Since when all of its frames were stale; None while they are not."""
    first_age_s: float = 0.0
    """The age of the first stale frame."""
    logged_at_s: float = -_REPEAT_LOG_S


class Deadline:
    """Rejects frames of live cameras that were captured more than `deadline_s` ago.

    Rejecting is quick, so the next frames are younger and younger until the pipeline has caught up. If frames
    are not younger after ten seconds, the pipeline is not late: the clock that took the capture time is
    behind ours. From then on the difference is subtracted from the age of each frame.
    """

    def __init__(self, deadline_s: float) -> None:
        self._deadline_s = deadline_s
        self._cameras: dict[str, _Lateness] = {}

    def admit(self, info: FrameInfo, now_s: float) -> bool:
        """True when the frame is to be processed, False when it is stale. Learns from each frame.

        Call it once for each frame, in the order of the frames. `now_s`: seconds since 1970.
        """
        if info.is_complete:
            return True
        camera = self._cameras.setdefault(info.camera_id, _Lateness())
        age_s = now_s - info.captured_at_s
        camera.skew_s = max(0.0, min(camera.skew_s, age_s))
        age_s -= camera.skew_s
        if age_s <= self._deadline_s:
            camera.since_s = None
            return True
        if camera.since_s is None:
            camera.since_s, camera.first_age_s = now_s, age_s
        if now_s < camera.since_s + _PATIENCE_S or age_s < camera.first_age_s - _GAIN_S:
            self._log("dropping stale frames", info, camera, age_s, now_s)
            return False
        camera.skew_s, camera.since_s, camera.logged_at_s = camera.skew_s + age_s, None, -_REPEAT_LOG_S
        self._log("frames stay old although others are dropped: clocks differ", info, camera, age_s, now_s)
        return True

    def _log(self, event: str, info: FrameInfo, camera: _Lateness, age_s: float, now_s: float) -> None:
        if now_s < camera.logged_at_s + _REPEAT_LOG_S:
            return
        camera.logged_at_s = now_s
        log.warning(
            event,
            extra={"camera": info.camera_id, "age_s": round(age_s, 1), "deadline_s": self._deadline_s},
        )
