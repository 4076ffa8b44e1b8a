"""What was seen of the services while they ran, and what is read from it. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

_WARM_UP_SHARE = 1 / 3
_LONGEST_WARM_UP_S = 300.0
_END_SHARE = 1 / 5


@dataclass(frozen=True, slots=True)
class Look:
    """One look at one service: its process and the processes that it has started."""

    at_s: float
    """Since the beginning of the recording."""
    memory_mb: float
    """Resident: what the machine has to hold of it at that moment."""
    files: int
    """Open files and connections."""
    threads: int
    cpu_s: float
    """CPU time spent so far."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One look at what goes through all services."""

    at_s: float
    delays: Mapping[float, float]
    """Upper end of a bucket in seconds → how many results so far had at most this delay, from the capture of
    the picture until they were stored; the last bucket is infinite."""
    waiting: int
    """Unread messages in Kafka."""


@dataclass(frozen=True, slots=True)
class Delay:
    """The delays of the results of some time."""

    at_s: float
    median_s: float
    p99_s: float


@dataclass(frozen=True, slots=True)
class Change:
    """A number at the beginning, after the warm-up, and at the end."""

    first: float
    last: float


@dataclass
class Recording:
    """All looks of a run."""

    services: dict[str, list[Look]] = field(default_factory=dict)
    flow: list[Flow] = field(default_factory=list)

    @property
    def ends_s(self) -> float:
        """When the last look was."""
        return max((one.at_s for one in self.flow), default=0.0)

    @property
    def warm_s(self) -> float:
        """When the warm-up was over: caches, pools and arenas fill in it."""
        return min(_LONGEST_WARM_UP_S, self.ends_s * _WARM_UP_SHARE)

    def warm(self, service: str) -> Sequence[Look]:
        """The looks after the warm-up."""
        return [one for one in self.services[service] if one.at_s >= self.warm_s]

    def change(self, service: str, what: str) -> Change:
        """The medians of the first and of the last fifth of the time after the warm-up.

        `what` is the name of a field of `Look`.
        """
        looks = self.warm(service)
        number = max(1, round(len(looks) * _END_SHARE))
        values = [float(getattr(one, what)) for one in looks]
        return Change(median(values[:number]), median(values[-number:]))

    def cpu_share(self, service: str) -> float:
        """Cores that were busy with it, on average after the warm-up."""
        looks = self.warm(service)
        return (looks[-1].cpu_s - looks[0].cpu_s) / max(looks[-1].at_s - looks[0].at_s, 1e-9)

    def delays(self, at_most: int = 60) -> Sequence[Delay]:
        """The delays over time, in up to so many steps; steps without any result are left out."""
        step = max(1, -(-len(self.flow) // at_most))
        kept = self.flow[::step]
        found = [_delay(before, after) for before, after in itertools.pairwise(kept)]
        return [one for one in found if one is not None]

    def delay(self, from_share: float = 0.0, to_share: float = 1.0) -> Delay | None:
        """The delay in a part of the time after the warm-up; None without any result."""
        looks = [one for one in self.flow if one.at_s >= self.warm_s]
        if len(looks) < 2:
            return None
        first, last = (round((len(looks) - 1) * share) for share in (from_share, to_share))
        return _delay(looks[first], looks[last])


def quantile(delays: Mapping[float, float], share: float) -> float:
    """The delay that `share` of all results had at most, in seconds, from the counts up to each bucket's end.

    Within a bucket the delays are taken to be spread evenly, as Prometheus' `histogram_quantile` does. What
    is in the infinite bucket is taken to be at its lower end.
    """
    ends = sorted(delays)
    wanted = share * delays[ends[-1]]
    lower_s, before = 0.0, 0.0
    for end_s in ends:
        if delays[end_s] >= wanted and delays[end_s] > before:
            if end_s == float("inf"):
                return lower_s
            return lower_s + (end_s - lower_s) * (wanted - before) / (delays[end_s] - before)
        lower_s, before = end_s, delays[end_s]
    return lower_s


def _delay(before: Flow, after: Flow) -> Delay | None:
    counts = {end_s: count - before.delays.get(end_s, 0.0) for end_s, count in after.delays.items()}
    if not counts or counts[max(counts)] <= 0:
        return None
    return Delay(after.at_s, quantile(counts, 0.5), quantile(counts, 0.99))


def buckets(samples: Iterable[tuple[str, float]]) -> Mapping[float, float]:
    """Counts by the `le` of the samples of a Prometheus histogram."""
    return {float(end_s): count for end_s, count in samples}
