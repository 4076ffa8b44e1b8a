"""Under overload the frames of all cameras are thinned evenly, and not under any other condition."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from agegender.services.detect.pace import Pace, fair_rate_hz
from agegender.shared.messages.pipeline import FrameInfo
from tests.support.made_messages import frame_info

T0 = 1_700_000_000.0
DEADLINE_S = 30.0
DROP_COST_S = 0.002
FETCH = 14
"""A consumer gets this many frames of one partition before those of another."""


@dataclass
class World:
    """Cameras, a topic with a partition for each of them, and one worker of detect.

    Ingest takes the frames of each camera at the rate that the worker has told a second ago.
    """

    rates_hz: Mapping[str, float]
    cost_s: float
    follows: bool = True
    """Whether ingest thins as it is told."""
    now_s: float = 0.0
    looked_at: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    oldest_s: float = 0.0
    stale: int = 0
    sent: int = 0

    def __post_init__(self) -> None:
        self.pace = Pace(DEADLINE_S, monotonic=lambda: self.now_s)
        self._topic: dict[str, deque[FrameInfo]] = {name: deque() for name in self.rates_hz}
        self._sequence = dict.fromkeys(self.rates_hz, 0)
        self._due_s = dict.fromkeys(self.rates_hz, -1e9)
        self._told: deque[tuple[float, float | None]] = deque([(0.0, None)])
        self._fetched: deque[FrameInfo] = deque()

    def run(self, until_s: float) -> None:
        """Time passes."""
        while self.now_s < until_s:
            self._capture()
            if not self._fetched:
                self._fetch()
            if self._fetched:
                self._work()
            else:
                self.now_s += 0.02

    def _capture(self) -> None:
        while len(self._told) > 1 and self._told[1][0] <= self.now_s - 1.0:
            self._told.popleft()
        told_hz = self._told[0][1] if self.follows else None
        for name, rate_hz in self.rates_hz.items():
            while self._sequence[name] / rate_hz <= self.now_s:
                at_s = self._sequence[name] / rate_hz
                info = frame_info(name, sequence=self._sequence[name], captured_at_s=T0 + at_s)
                self._sequence[name] += 1
                if told_hz is None or at_s >= self._due_s[name]:
                    if told_hz is not None:
                        self._due_s[name] = max(self._due_s[name] + 1 / told_hz, at_s)
                    self._topic[name].append(info)
                    self.sent += 1

    def _fetch(self) -> None:
        for line in self._topic.values():
            self._fetched.extend(line.popleft() for _ in range(min(FETCH, len(line))))

    def _work(self) -> None:
        """One batch of at most a second."""
        began_s, looked_at = self.now_s, 0
        for _ in range(min(8, max(1, int(1.0 / self.cost_s)), len(self._fetched))):
            info = self._fetched.popleft()
            age_s = T0 + self.now_s - info.captured_at_s
            if age_s > DEADLINE_S:
                self.stale += 1
            elif self.pace.admit(info, age_s):
                looked_at += 1
                self.looked_at[info.camera_id].append(info.captured_at_s - T0)
                self.oldest_s = max(self.oldest_s, age_s)
                self.now_s += self.cost_s
                continue
            self.now_s += DROP_COST_S
        self.pace.note_work(looked_at, self.now_s - began_s)
        self._told.append((self.now_s, self.pace.rate_hz))

    def gaps_s(self, camera: str, since_s: float) -> Sequence[float]:
        """Between the frames of the camera that were looked at."""
        times_s = [at_s for at_s in self.looked_at[camera] if at_s >= since_s]
        return [after - before for before, after in pairwise(times_s)]

    def rate_hz(self, camera: str, since_s: float) -> float:
        """Frames of the camera that were looked at, for each second."""
        return sum(at_s >= since_s for at_s in self.looked_at[camera]) / (self.now_s - since_s)


def cameras(number: int, rate_hz: float = 5.0) -> dict[str, float]:
    return {f"cam{one}": rate_hz for one in range(number)}


@pytest.mark.parametrize("follows", [True, False], ids=["ingest-thins", "detect-alone"])
@pytest.mark.parametrize(("number", "overload"), [(2, 2), (2, 4), (2, 8), (6, 3), (12, 6), (24, 12)])
def test_overload_is_thinned_evenly_fairly_and_soon(number: int, overload: float, *, follows: bool) -> None:
    world = World(cameras(number), overload / (number * 5.0), follows=follows)
    world.run(60)
    world.oldest_s = world.stale = world.sent = 0
    world.run(240)
    assert world.stale == 0
    assert world.oldest_s < DEADLINE_S / 2
    rates_hz = [world.rate_hz(name, 60) for name in world.rates_hz]
    assert min(rates_hz) > (0.9 if follows else 0.6) * max(rates_hz)
    assert sum(rates_hz) > (0.85 if follows else 0.7) / world.cost_s, "the worker is used"
    for name in world.rates_hz:
        gaps_s = world.gaps_s(name, 60)
        assert max(gaps_s) < 2.2 * sum(gaps_s) / len(gaps_s), "no bursts"
    if follows:
        assert world.sent < 1.1 * 180 * sum(rates_hz), "hardly anything is sent in vain"


def test_nothing_is_thinned_while_all_fits() -> None:
    world = World(cameras(6), 0.9 / 30)
    world.run(120)
    assert world.pace.rate_hz is None
    assert sum(map(len, world.looked_at.values())) == world.sent
    assert max(world.gaps_s("cam5", 0)) < 0.21


def test_a_backlog_that_will_be_caught_up_is_not_thinned() -> None:
    """The worker was away for ten seconds, and can do twice the work that comes."""
    world = World(cameras(6), 0.5 / 30)
    world.run(60)
    world.now_s += 10.0
    world.run(120)
    assert world.oldest_s > 9.9
    assert max(world.gaps_s("cam3", 0)) < 0.21


def test_thinning_ends_when_the_work_fits_again() -> None:
    world = World(cameras(2), 0.8)
    world.run(60)
    assert world.pace.rate_hz == pytest.approx(0.6, abs=0.1)
    world.cost_s = 0.02
    world.run(90)
    assert world.pace.rate_hz is None
    assert world.rate_hz("cam0", 80) == pytest.approx(5.0, abs=0.2)


def test_a_sudden_lack_of_capacity_opens_no_long_gap() -> None:
    world = World(cameras(6), 0.01)
    world.run(60)
    world.cost_s = 8 / 30
    world.run(180)
    assert world.stale == 0
    assert max(world.gaps_s("cam5", 0)) < 6, "the even gap is 1.6 s"


def test_a_camera_that_needs_less_keeps_all_of_it() -> None:
    world = World({"slow": 0.5, "a": 5.0, "b": 5.0}, 0.25)
    world.run(120)
    assert world.rate_hz("slow", 60) == pytest.approx(0.5, abs=0.05)
    assert world.rate_hz("a", 60) == pytest.approx(world.rate_hz("b", 60), rel=0.1)
    assert world.rate_hz("a", 60) == pytest.approx(1.75, rel=0.15)


def test_a_clock_that_is_set_back_costs_no_frames() -> None:
    pace = Pace(DEADLINE_S, monotonic=lambda: 0.0)
    for number in range(100):
        pace.admit(frame_info(sequence=number, captured_at_s=T0 + number / 5), 10.0)
    pace.note_work(10, 10.0)
    assert pace.rate_hz is not None
    assert pace.admit(frame_info(sequence=100, captured_at_s=T0 + 30), 10.0)
    assert pace.admit(frame_info(sequence=101, captured_at_s=T0 - 3600), 10.0)


@pytest.mark.parametrize(
    ("capacity_hz", "demands_hz", "rate_hz"),
    [(10, [5, 5], None), (10, [5, 5, 5, 5], 2.5), (10, [1, 5, 10], 4.5), (10, [], None), (1, [5], 1)],
)
def test_the_fair_rate_uses_the_whole_capacity(
    capacity_hz: float, demands_hz: list[float], rate_hz: float | None
) -> None:
    assert fair_rate_hz(capacity_hz, demands_hz) == rate_hz
