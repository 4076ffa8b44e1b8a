"""Whether anything grows that should not. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table

from benchmarks.soak.recording import Recording
from benchmarks.soak.slope import Slope, fitted

MOST_MB_AN_HOUR = 10.0
"""A service fails if its memory certainly grows faster."""
SHORTEST_FOR_MEMORY_S = 360.0
"""In less time after the warm-up an hour's growth cannot be told from an allocator that settles."""
MOST_MORE_FILES = 4
MOST_MORE_THREADS = 4
MOST_TIMES_THE_DELAY = 2.0
MOST_MORE_DELAY_S = 1.0
"""The last third's median delay may be twice the first's and this much more."""


@dataclass(frozen=True)
class Verdict:
    """What was seen, and what of it is beyond a limit."""

    recording: Recording
    complaints: Sequence[str] = field(default_factory=list)
    """The findings of the other checks: the audit, the answers of the API, the processes."""

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.sentences

    @property
    def sentences(self) -> Sequence[str]:
        """Everything that is wrong."""
        return [*self._growth(), *self._delay(), *self.complaints]

    def memory_slope(self, service: str) -> Slope | None:
        """Megabytes an hour after the warm-up; None for too few looks."""
        looks = self.recording.warm(service)
        slope = fitted([one.at_s for one in looks], [one.memory_mb for one in looks])
        return None if slope is None else slope.per_hour()

    @property
    def checks_memory(self) -> bool:
        """Whether the run was long enough for it."""
        return self.recording.ends_s - self.recording.warm_s >= SHORTEST_FOR_MEMORY_S

    def _growth(self) -> Iterator[str]:
        for service in self.recording.services:
            slope = self.memory_slope(service)
            if self.checks_memory and slope is not None and slope.low > MOST_MB_AN_HOUR:
                yield (
                    f"the memory of {service} grows by {slope.growth:.0f} MB an hour, {slope.low:.0f} at "
                    f"least: more than {MOST_MB_AN_HOUR:g}"
                )
            for what, most in (("files", MOST_MORE_FILES), ("threads", MOST_MORE_THREADS)):
                change = self.recording.change(service, what)
                if change.last > change.first + most:
                    yield f"the {what} of {service} grew from {change.first:g} to {change.last:g}"

    def _delay(self) -> Iterator[str]:
        first, last = self.recording.delay(0, 1 / 3), self.recording.delay(2 / 3, 1)
        if first is None or last is None:
            yield "no results came after the warm-up"
        elif last.median_s > MOST_TIMES_THE_DELAY * first.median_s + MOST_MORE_DELAY_S:
            yield f"the median delay grew from {first.median_s:.1f} to {last.median_s:.1f} s"

    def draw(self) -> RenderableType:
        """The run in numbers."""
        recording = self.recording
        title = f"After a warm-up of {recording.warm_s:.0f} s"
        shown = Table(box=box.SIMPLE, title=title, title_justify="left", padding=(0, 1, 0, 0))
        shown.add_column("service")
        for heading in ("memory MB", "MB an hour", "95 % within", "open files", "threads", "cores"):
            shown.add_column(heading, justify="right", no_wrap=True)
        for service in recording.services:
            changes = [recording.change(service, what) for what in ("memory_mb", "files", "threads")]
            memory, files, threads = (f"{one.first:.0f} → {one.last:.0f}" for one in changes)
            cores = f"{recording.cpu_share(service):.2f}"
            shown.add_row(service, memory, *_told(self.memory_slope(service)), files, threads, cores)
        parts: list[RenderableType] = [shown]
        if not self.checks_memory:
            parts.append(f"Its growth is classified from {SHORTEST_FOR_MEMORY_S / 60:g} minutes on.")
        if (delay := recording.delay()) is not None:
            waiting = max(one.waiting for one in recording.flow)
            parts.append(
                f"From capture to store: median {delay.median_s:.2f} s, 99 of 100 within "
                f"{delay.p99_s:.2f} s; at most {waiting} messages waiting."
            )
        return Group(*parts)


def _told(slope: Slope | None) -> tuple[str, str]:
    return ("", "") if slope is None else (f"{slope.growth:+.1f}", f"{slope.low:+.1f} to {slope.high:+.1f}")
