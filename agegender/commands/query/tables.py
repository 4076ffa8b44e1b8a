"""What is in the store as tables for people."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table

from agegender.commands.records import interval_text
from agegender.shared.messages.pipeline import AGE_BANDS, Unclassified
from agegender.shared.messages.visits import UNKNOWN_BAND, Visit
from agegender.shared.store import CameraStatus, GivenCount, Period

_SILENT_S = 10.0
_START_FORMATS: dict[Period, str] = {
    "minute": "%Y-%m-%d %H:%M",
    "hour": "%Y-%m-%d %H:00",
    "day": "%Y-%m-%d",
}


def cameras_table(cameras: Sequence[CameraStatus], now_s: float) -> Table:
    """The cameras and what is known of their state."""
    table = _table("Cameras", ("camera", "state"), ("frames/s", "delay", "there now"))
    for camera in cameras:
        silent_s = now_s - camera.written_at_s
        table.add_row(
            camera.camera_id,
            "live" if silent_s < _SILENT_S else f"silent for {duration_text(silent_s)}",
            "-" if camera.frame_rate_hz is None else f"{camera.frame_rate_hz:.1f}",
            f"{camera.delay_s * 1000:.0f} ms",
            f"{camera.present}",
        )
    return table


def visits_table(title: str, visits: Iterable[Visit]) -> Table:
    """One visit a row."""
    table = _table(
        title, ("seen first", "camera", "gender"), ("sure", "age", "80 % within", "stayed", "faces")
    )
    for visit in visits:
        table.add_row(
            _clock(visit.first_seen_s),
            visit.camera_id,
            visit.gender if visit.age_years is not None else "",
            f"{visit.gender_confidence * 100:.0f} %" if visit.age_years is not None else "",
            visit_age_text(visit),
            interval_text(visit.age_interval_years),
            duration_text(visit.dwell_s),
            f"{visit.faces_classified} of {visit.frames}",
        )
    return table


def counts_table(counts: Sequence[GivenCount], by: Period) -> Table:
    """One minute, hour or day a row, of all cameras, and the sum below; ages that nobody had are left out.

    Where some numbers were not given out, sums hold those that were, and say so: `4+`.
    """
    bands = [band for band in (*AGE_BANDS, UNKNOWN_BAND) if any(one.age_band == band for one in counts)]
    headings = [band if band in AGE_BANDS else f"age {band}" for band in bands]
    table = _table(f"Persons by {by}", (by,), ("visits", "female", "male", "unknown", *headings))
    for start_s in sorted({count.start_s for count in counts}):
        # Counted by days of UTC, so a day is not shown as one of here.
        stamp = time.gmtime(start_s) if by == "day" else time.localtime(start_s)
        sums = _sums([one for one in counts if one.start_s == start_s], bands)
        table.add_row(time.strftime(_START_FORMATS[by], stamp), *sums)
    table.add_section()
    table.add_row("in all", *_sums(counts, bands))
    return table


def visit_line(visit: Visit) -> str:
    """One visit in a line: `12:03:05  entrance  female 34 (27-41)  stayed 12 s`."""
    gender = "?" if visit.gender == "unknown" else visit.gender
    classified = visit.age_years is not None
    age = f"{gender} {visit_age_text(visit)}" if classified else visit_age_text(visit)
    interval = f" ({interval_text(visit.age_interval_years)})" if classified else ""
    stamp = time.strftime("%H:%M:%S", time.localtime(visit.last_seen_s))
    return f"{stamp}  {visit.camera_id}  {age}{interval}  stayed {duration_text(visit.dwell_s)}"


def visit_age_text(visit: Visit) -> str:
    """The age in whole years, or why there is none: `34`, `too small`, `not yet`."""
    if visit.age_years is None:
        return unclassified_text(visit.unclassified)
    return f"{visit.age_years:.0f}"


def unclassified_text(why: Unclassified | Literal["not-yet"] | None) -> str:
    """Why somebody was not classified, in words."""
    return (why or "unknown").replace("-", " ")


def duration_text(seconds: float) -> str:
    """A length of time in its largest two units: `45 s`, `3 min 5 s`, `2 h 10 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def _sums(counts: Sequence[GivenCount], bands: Sequence[str]) -> list[str]:
    """The cells of a row: everybody, by gender, by age."""
    known = [one for one in counts if one.visits is not None]
    genders = [[one for one in known if one.gender == gender] for gender in ("female", "male", "unknown")]
    ages = [[one for one in known if one.age_band == band] for band in bands]
    return [
        _sum(known, is_all=len(known) == len(counts)),
        *(_sum(some, is_all=all(one.gender is not None for one in counts)) for some in genders),
        *(_sum(some, is_all=all(one.age_band is not None for one in counts)) for some in ages),
    ]


def _sum(counts: Iterable[GivenCount], *, is_all: bool) -> str:
    number = sum(one.visits or 0 for one in counts)
    return str(number or "") if is_all else f"{number}+"


def _clock(seconds: float) -> str:
    """The time of day, and the date before it unless it is today's."""
    stamp, today = time.localtime(seconds), time.localtime()
    is_today = (stamp.tm_year, stamp.tm_yday) == (today.tm_year, today.tm_yday)
    return time.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M:%S", stamp)


def _table(title: str, left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in left:
        table.add_column(name, no_wrap=True)
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table
