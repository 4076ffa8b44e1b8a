"""How many visits began, by minute, hour and day (UTC), age band and gender.

counts:minute:2026-11-22T14   MM|BAND|GENDER → visits
counts:hour:2026-11-22        HH|BAND|GENDER → visits
counts:day:2026-11            DD|BAND|GENDER → visits
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from agegender.shared.messages.pipeline import AGE_BANDS
from agegender.shared.messages.visits import UNKNOWN_BAND, Visit

Period = Literal["minute", "hour", "day"]

_BAND_ORDER = {band: index for index, band in enumerate((*AGE_BANDS, UNKNOWN_BAND))}


@dataclass(frozen=True, slots=True)
class Count:
    """How many visits of one age band and gender began at one camera in one minute, hour or day."""

    start_s: float
    """The beginning of the minute, hour or day, seconds since 1970 UTC."""
    camera_id: str
    age_band: str
    gender: str
    visits: int

    @property
    def order(self) -> tuple[float, str, int, str]:
        """By time, camera, age and gender."""
        return self.start_s, self.camera_id, _BAND_ORDER.get(self.age_band, len(_BAND_ORDER)), self.gender


@dataclass(frozen=True, slots=True)
class PeriodLayout:
    """How the counts by one period lie in Redis: each hash holds the cells of an hour, a day or a month."""

    period: Period
    length_s: int
    hash_format: str
    """`strftime` format that names the hash."""
    cell_format: str
    """`strftime` format that names the cell in the hash."""
    kept_s: int

    def hash_of(self, at_s: float) -> str:
        """The name of the hash that counts the time `at_s`."""
        return f"{self.period}:{_utc(at_s).strftime(self.hash_format)}"

    def start_s(self, at_s: float) -> float:
        """The beginning of the cell that `at_s` falls into."""
        return at_s // self.length_s * self.length_s

    def hashes(self, since_s: float, until_s: float) -> Iterator[str]:
        """The names of all hashes with cells that begin in [since_s, until_s)."""
        last = ""
        at_s = since_s
        while at_s < until_s:
            name = self.hash_of(at_s)
            if name != last:
                yield name
                last = name
            at_s += self.length_s

    def read(self, camera_id: str, name: str, fields: Mapping[bytes, bytes]) -> Iterator[Count]:
        """The counts in the hash called `name`."""
        stretch = name.split(":", 1)[1]
        for field, visits in fields.items():
            cell, band, gender = field.decode().split("|")
            start = datetime.strptime(f"{stretch} {cell}", f"{self.hash_format} {self.cell_format}")
            yield Count(start.replace(tzinfo=UTC).timestamp(), camera_id, band, gender, int(visits))


PERIODS: Mapping[Period, PeriodLayout] = {
    "minute": PeriodLayout("minute", 60, "%Y-%m-%dT%H", "%M", kept_s=48 * 3600),
    "hour": PeriodLayout("hour", 3600, "%Y-%m-%d", "%H", kept_s=35 * 24 * 3600),
    "day": PeriodLayout("day", 24 * 3600, "%Y-%m", "%d", kept_s=400 * 24 * 3600),
}
LONGEST_KEPT_S = max(layout.kept_s for layout in PERIODS.values())


class CountCell(NamedTuple):
    """One number in one hash."""

    hash: str
    field: str
    kept_s: int


def count_cells(visit: Visit) -> tuple[CountCell, ...]:
    """Where a visit is counted: once in each period."""
    first_seen = _utc(visit.first_seen_s)
    return tuple(
        CountCell(
            layout.hash_of(visit.first_seen_s),
            f"{first_seen.strftime(layout.cell_format)}|{visit.age_band}|{visit.gender}",
            layout.kept_s,
        )
        for layout in PERIODS.values()
    )


def _utc(at_s: float) -> datetime:
    return datetime.fromtimestamp(at_s, UTC)
