"""What the store holds as tables for people."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, tzinfo

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

from agegender.commands.face_rows import age_text, face_size, gender_texts, interval_text
from agegender.commands.terminal import FirstThatFits, Name
from agegender.shared.messages.pipeline import AGE_BANDS
from agegender.shared.messages.visits import UNKNOWN_BAND, Visit
from agegender.shared.store import CameraState, CameraStatus, FrameNews, GivenCount, Period, StoredResult

_STATE_STYLES: dict[CameraState, str] = {
    "live": "green",
    "failing": "red",
    "silent": "yellow",
    "stopped": "dim",
}


def cameras_table(cameras: Sequence[CameraStatus], now_s: float, zone: tzinfo | None = None) -> Group:
    """One camera a row, with its state, and below the table why cameras fail.

    Args:
        zone: of the times; None: local time.
    """
    table = _table("Cameras", ("camera", "state", "since"), ("frames/s", "delay", "there now"))
    why: list[Text] = []
    for camera in cameras:
        state, since_s = camera.state(now_s), camera.since_s(now_s)
        frame = camera.frame if state == "live" else None
        rate_hz = None if frame is None else frame.frame_rate_hz
        table.add_row(
            Name(camera.camera_id),
            _state_text(state, frame),
            "" if since_s is None else f"{_time_text(since_s, zone)} ({duration_text(now_s - since_s)})",
            "-" if rate_hz is None else f"{rate_hz:.1f}",
            "-" if frame is None else f"{frame.delay_s * 1000:.0f} ms",
            f"{camera.present}",
        )
        if state == "failing" and (notice := camera.notice_at(now_s)) is not None:
            why.append(Text(f"{camera.camera_id}: {notice.reason}: {notice.detail}", style="red"))
    return Group(table, *why)


def _state_text(state: CameraState, frame: FrameNews | None) -> Text:
    if frame is not None and frame.is_overloaded:
        rates = f"{frame.frame_rate_hz:.1f} of {frame.captured_rate_hz:.1f}"
        return Text(f"overloaded: {rates} frames a second", style="red")
    return Text(state, style=_STATE_STYLES[state])


def visits_table(title: str, visits: Iterable[Visit], zone: tzinfo | None = None) -> Table:
    """One visit a row. `zone`: of the times; None: local time."""
    table = _table(
        title, ("seen first", "camera", "gender"), ("sure", "age", "80 % within", "stayed", "faces")
    )
    for visit in visits:
        table.add_row(
            _time_text(visit.first_seen_s, zone),
            Name(visit.camera_id),
            visit.gender if visit.age_years is not None else "",
            f"{visit.gender_confidence * 100:.0f} %" if visit.age_years is not None else "",
            age_text(visit),
            interval_text(visit.age_interval_years),
            duration_text(visit.dwell_s),
            f"{visit.faces_classified} of {visit.frames}",
        )
    return table


def counts_table(counts: Sequence[GivenCount], by: Period, zone: tzinfo | None = None) -> FirstThatFits:
    """One minute, hour or day a row, summed over the cameras, and the sum of all rows below.

    Age bands without a visit are left out, and on a narrow terminal they are a table of their own. Where some
    numbers were not given out, a sum says so: `4+`.

    Args:
        zone: of the times of minutes and hours; None: local time. Days are days of UTC.
    """
    bands = [band for band in (*AGE_BANDS, UNKNOWN_BAND) if any(one.age_band == band for one in counts)]
    genders = ("visits", "female", "male", "unknown")
    headings = [*genders, *(band if band in AGE_BANDS else f"age {band}" for band in bands)]
    rows = [
        (_start_text(start_s, by, zone), _sums([one for one in counts if one.start_s == start_s], bands))
        for start_s in sorted({count.start_s for count in counts})
    ]
    rows.append(("in all", _sums(counts, bands)))
    title = f"Visits by {by}"
    whole = _sums_table(title, by, headings, rows)
    by_gender = _sums_table(title, by, genders, [(start, sums[: len(genders)]) for start, sums in rows])
    by_age = _sums_table(
        f"Ages by {by}", by, bands, [(start, sums[len(genders) :]) for start, sums in rows], is_dense=True
    )
    return FirstThatFits(whole, Group(by_gender, by_age) if bands else by_gender)


def _sums_table(
    title: str,
    by: Period,
    headings: Sequence[str],
    rows: Sequence[tuple[str, Sequence[str]]],
    *,
    is_dense: bool = False,
) -> Table:
    table = _table(title, (by,), headings)
    if is_dense:
        table.padding = 0
    for start, sums in rows[:-1]:
        table.add_row(start, *sums)
    table.add_section()
    start, sums = rows[-1]
    table.add_row(start, *sums)
    return table


def visit_line(visit: Visit, zone: tzinfo | None = None) -> str:
    """One visit in a line: `12:03:05  entrance  female 34 (27-41)  stayed 12 s`."""
    gender = "?" if visit.gender == "unknown" else visit.gender
    classified = visit.age_years is not None
    age = f"{gender} {age_text(visit)}" if classified else age_text(visit)
    interval = f" ({interval_text(visit.age_interval_years)})" if classified else ""
    left_at = datetime.fromtimestamp(visit.last_seen_s, zone)
    return f"{left_at:%H:%M:%S}  {visit.camera_id}  {age}{interval}  stayed {duration_text(visit.dwell_s)}"


def faces_table(camera_id: str, faces: Sequence[StoredResult], zone: tzinfo | None = None) -> Table:
    """One classified face a row. `zone`: of the times; None: local time."""
    table = Table(title=f"Latest results of {camera_id}", title_justify="left")
    for name in ("captured", "face", "age", "gender", "sure", "size", "delay"):
        table.add_column(name, justify="left" if name in ("captured", "face", "gender") else "right")
    for one in faces:
        face = one.result.face
        captured_at = datetime.fromtimestamp(one.result.captured_at_s, zone)
        table.add_row(
            f"{captured_at:%Y-%m-%d %H:%M:%S}.{captured_at.microsecond // 100_000}",
            f"{face.index + 1} of {face.faces_in_frame}",
            age_text(one.result),
            *gender_texts(one.result),
            face_size(face),
            f"{one.delay_s * 1000:.0f} ms",
        )
    return table


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
    """The cells of a row: all visits, by gender, by age band."""
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


def _time_text(time_s: float, zone: tzinfo | None) -> str:
    """The time of day, with the date before it unless it is today's.

    The offset follows unless it is that of now, because one hour comes twice at the end of summer time.
    """
    shown, now = (datetime.fromtimestamp(one_s, UTC).astimezone(zone) for one_s in (time_s, time.time()))
    text = f"{shown:%H:%M:%S}" if shown.date() == now.date() else f"{shown:%Y-%m-%d %H:%M:%S}"
    return text if shown.utcoffset() == now.utcoffset() else text + _offset_text(shown)


def _start_text(start_s: float, by: Period, zone: tzinfo | None) -> str:
    """The beginning of a minute or hour with its offset: `2026-11-22 22:30+05:30`. Days are of UTC."""
    if by == "day":
        return f"{datetime.fromtimestamp(start_s, UTC):%Y-%m-%d} UTC"
    start = datetime.fromtimestamp(start_s, UTC).astimezone(zone)
    return f"{start:%Y-%m-%d %H:%M}{_offset_text(start)}"


def _offset_text(shown: datetime) -> str:
    return shown.isoformat(timespec="minutes")[16:]


def _table(title: str, left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for name in left:
        table.add_column(name, no_wrap=name != "camera")  # a name gives way before the numbers
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    return table
