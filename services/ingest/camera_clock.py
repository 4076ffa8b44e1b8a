"""Whether a camera's clock can be believed."""

from __future__ import annotations

import logging
import math

log = logging.getLogger(__name__)

CLOCK_TOLERANCE_S = 10.0
"""A camera's clock that differs more from ours is wrong rather than late, and ours is taken instead."""


class ClockTrust:
    """Judges one camera's clock and says once when it turns wrong, over all its reconnects."""

    def __init__(self, camera_id: str) -> None:
        self._camera_id = camera_id
        self._said = False
        self._last_s = -math.inf

    def admit(self, captured_at_s: float, now_s: float) -> bool:
        """Whether a capture time by the camera's clock can be true at `now_s` by ours, and is a later one."""
        skew_s = now_s - captured_at_s
        is_later, self._last_s = captured_at_s > self._last_s, captured_at_s
        if is_later and abs(skew_s) <= CLOCK_TOLERANCE_S:
            self._said = False
            return True
        if not self._said:
            self._said = True
            log.warning(
                "camera clock is wrong, the time of arrival is taken",
                extra={
                    "camera": self._camera_id,
                    "skew_s": round(skew_s, 1),
                    "tolerance_s": CLOCK_TOLERANCE_S,
                },
            )
        return False
