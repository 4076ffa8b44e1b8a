"""The pace: which frames are looked at while the cameras send more than this worker can do. Pure.

Work that exceeds the capacity is thinned by camera. Each camera gets the same rate, except cameras that need
less (max-min fairness), and its frames are evenly spaced by the time of their capture. So a gap is never
longer than it has to be, and no camera pays for another one.

Ingest is told the same rate, so that it neither compresses nor sends what would be dropped here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from agegender.services.detect.recent_frames import RecentFrames
from agegender.shared.messages.pipeline import FrameInfo
from agegender.shared.runtime.pace import due_since_s

_BEHIND = 0.1
"""Of the deadline. Thinning begins when a frame has waited for longer and the cameras send more than fits."""
_LEAST_DEADLINE_S = 10.0  # a shorter one would make each hitch an overload

_NEARLY = 0.8  # of the capacity: with more work than this, a worker that is behind does not catch up soon
_USED = ((0.07, 0.95), (0.17, 0.8), (math.inf, 0.6))
"""A wait as a share of the deadline, and the share of the capacity that is given away while frames wait for
less. The time between two frames of a camera comes on top: all cameras may send theirs in the same moment."""
_LENIENCE = 1.25  # at the door, so that frames that ingest has thinned are not thinned again
_COST_SETTLES_S = 2.0  # over which the cost of a frame is averaged
_FORGET_AFTER_S = 30.0
_SLACK_S = 1e-6


@dataclass
class _Camera:
    """The frames of one camera that came lately."""

    stream_id: str
    recent: RecentFrames = field(default_factory=RecentFrames)
    came_at_s: float = 0.0
    last_due_s: float = -math.inf
    """The last frame that was looked at was due then."""

    def note(self, info: FrameInfo, now_s: float) -> None:
        """Takes in a frame."""
        self.came_at_s = now_s
        self.recent.add(info.captured_at_s, info.sequence)

    @property
    def captured_hz(self) -> float:
        """Frames a second that were captured, also those that ingest has thinned: they have numbers too."""
        return self.recent.captured_rate_hz or 0.0

    def is_due(self, captured_at_s: float, rate_hz: float) -> bool:
        """Whether to look at the frame at this rate."""
        interval_s = 1.0 / rate_hz
        due_s = self.last_due_s + interval_s
        if captured_at_s < due_s - 2 * interval_s:
            due_s = captured_at_s  # the camera's clock was set back
        if captured_at_s < due_s - _SLACK_S:
            return False
        self.last_due_s = due_since_s(due_s, captured_at_s, interval_s)
        return True


class Pace:
    """Measures what this worker can do, and spreads it over its live cameras.

    The capacity is what the last looked-at frames have cost. The demand is what the cameras have captured,
    by the numbers of their frames. Both stay known while frames are thinned, so the rate settles within
    seconds and does not swing.

    Args:
        deadline_s: the age after which frames are dropped as stale. Thinning keeps them far below it.
        monotonic: seconds of a clock that is never set.
    """

    def __init__(self, deadline_s: float, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._deadline_s = max(deadline_s, _LEAST_DEADLINE_S)
        self._monotonic = monotonic
        self._cameras: dict[str, _Camera] = {}
        self._cost_s: float | None = None
        self._worked_at_s = 0.0
        self._waited_s = 0.0
        self._rate_hz: float | None = None

    @property
    def rate_hz(self) -> float | None:
        """Frames a second of each camera that are looked at; None: all of them."""
        return self._rate_hz

    def admit(self, info: FrameInfo, waited_s: float) -> bool:
        """Whether to look at a live camera's frame. Call it once for each, in the order of the frames.

        Args:
            waited_s: since it was published.
        """
        camera = self._cameras.get(info.camera_id)
        if camera is None or camera.stream_id != info.stream_id:
            camera = self._cameras[info.camera_id] = _Camera(info.stream_id)
        camera.note(info, self._monotonic())
        self._waited_s = max(self._waited_s, waited_s)
        return self._rate_hz is None or camera.is_due(info.captured_at_s, _LENIENCE * self._rate_hz)

    def note_work(self, frames: int, seconds: float) -> None:
        """Takes in that a batch took so long, in which `frames` were looked at. Sets the rate anew."""
        now_s = self._monotonic()
        if frames:
            cost_s, before_s = seconds / frames, self._cost_s
            gain = 1.0 - math.exp(-max(seconds, now_s - self._worked_at_s) / _COST_SETTLES_S)
            self._cost_s = cost_s if before_s is None else before_s + gain * (cost_s - before_s)
            self._worked_at_s = now_s
        waited_s, self._waited_s = self._waited_s, 0.0
        self._set_rate(waited_s, now_s)

    def _set_rate(self, waited_s: float, now_s: float) -> None:
        self._cameras = {
            name: one for name, one in self._cameras.items() if now_s - one.came_at_s < _FORGET_AFTER_S
        }
        if not self._cost_s:
            return
        demands_hz = [one.captured_hz for one in self._cameras.values()]
        capacity_hz = 1.0 / self._cost_s
        if sum(demands_hz) < _NEARLY * capacity_hz:
            self._rate_hz = None
        elif self._rate_hz is not None or waited_s > _BEHIND * self._deadline_s:
            waited_s -= 0.0 if self._rate_hz is None else 1.0 / self._rate_hz
            used = next(share for most, share in _USED if waited_s < most * self._deadline_s)
            self._rate_hz = fair_rate_hz(used * capacity_hz, demands_hz)


def fair_rate_hz(capacity_hz: float, demands_hz: Iterable[float]) -> float | None:
    """The rate that each camera gets, so that all together get `capacity_hz`. None: all fit.

    A camera that needs less leaves the rest to the others: max-min fairness (Bertsekas and Gallager, Data
    Networks, 1992, section 6.5.2).
    """
    demands = sorted(demands_hz)
    left_hz = capacity_hz
    for number, demand_hz in enumerate(demands):
        share_hz = left_hz / (len(demands) - number)
        if demand_hz > share_hz:
            return share_hz
        left_hz -= demand_hz
    return None
