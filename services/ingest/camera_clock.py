"""Decides whether the clock of a camera is used."""

from __future__ import annotations

import logging
import math

log = logging.getLogger(__name__)

CLOCK_TOLERANCE_S = 10.0
"""If the clock of a camera differs more from ours, it is wrong, and ours is used instead."""


class ClockTrust:
    """Checks the clock of one camera over all its streams. Logs once when the clock becomes wrong."""

    def __init__(self, camera_id: str) -> None:
        self._camera_id = camera_id
        self._said = False
        self._last_s = -math.inf

    def admit(self, captured_at_s: float, now_s: float) -> bool:
        """True when a capture time by the camera's clock is plausible and later than the last one.

        Remembers the time for the next call. `now_s`: the time of arrival by our clock.
        """
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
