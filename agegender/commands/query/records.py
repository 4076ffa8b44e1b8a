"""What the store holds as flat records of plain values, for JSON and for CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from typing import IO

from agegender.commands.face_rows import face_record
from agegender.shared.messages.visits import Visit
from agegender.shared.store import CameraStatus, GivenCount, Period, StoredResult
from agegender.shared.times import iso_time

FlatRecord = Mapping[str, object]
"""Plain values by name, ready for JSON."""


def visit_record(visit: Visit, zone: tzinfo | None = None) -> FlatRecord:
    """One visit. Times that end in `_s` are seconds since 1970 UTC; beside them is the same in `zone`.

    `zone` None stands for local time, here and below.
    """
    return {
        **visit.model_dump(mode="json"),
        "first_seen": iso_time(visit.first_seen_s, zone),
        "last_seen": iso_time(visit.last_seen_s, zone),
        "age_band": visit.age_band,
        "dwell_s": round(visit.dwell_s, 3),
        "is_unsure": visit.is_unsure,
    }


def count_record(count: GivenCount, by: Period, zone: tzinfo | None = None) -> FlatRecord:
    """The visits of one camera, age band and gender in one minute, hour or day. Days are days of UTC."""
    return {
        "start": iso_time(count.start_s, UTC if by == "day" else zone),
        "start_s": count.start_s,
        "camera_id": count.camera_id,
        "age_band": count.age_band,
        "gender": count.gender,
        "visits": count.visits,
        "fewer_than": count.fewer_than,
    }


def camera_record(camera: CameraStatus, now_s: float, zone: tzinfo | None = None) -> FlatRecord:
    """The state of one camera at `now_s`; before its first frame, what a frame tells is None."""
    frame, state, since_s = camera.frame, camera.state(now_s), camera.since_s(now_s)
    notice = camera.notice_at(now_s)
    return {
        "camera_id": camera.camera_id,
        "state": state,
        "since_s": since_s,
        "since": None if since_s is None else iso_time(since_s, zone),
        "reason": notice and notice.reason,
        "detail": notice and notice.detail,
        "captured_at_s": frame and frame.captured_at_s,
        "captured_at": frame and iso_time(frame.captured_at_s, zone),
        "clock": frame and frame.clock,
        "width_px": frame and frame.size_wh[0],
        "height_px": frame and frame.size_wh[1],
        "frame_rate_hz": frame and frame.frame_rate_hz,
        "captured_rate_hz": frame and frame.captured_rate_hz,
        "is_overloaded": frame is not None and frame.is_overloaded,
        "written_at_s": frame and frame.written_at_s,
        "written_at": frame and iso_time(frame.written_at_s, zone),
        "delay_s": frame and frame.delay_s,
        "present": camera.present,
    }


def stored_face_record(stored: StoredResult, zone: tzinfo | None = None) -> FlatRecord:
    """One classified face, with the time when it was stored and the delay since its capture."""
    return {
        **face_record(stored.result, zone),
        "written_at": iso_time(stored.written_at_s, zone),
        "written_at_s": stored.written_at_s,
        "delay_s": round(stored.delay_s, 3),
    }


def write_json(records: Iterable[FlatRecord], out: IO[str]) -> None:
    """One JSON object a line."""
    for record in records:
        out.write(json.dumps(record) + "\n")
        out.flush()


def csv_writer(out: IO[str], columns: Sequence[str]) -> Callable[[FlatRecord], None]:
    """Writes the heading, and returns a function that writes one row (RFC 4180).

    A pair becomes two columns, which `columns` calls `NAME_low` and `NAME_high`.
    """
    writer = csv.DictWriter(out, columns, restval="", extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()

    def write(record: FlatRecord) -> None:
        writer.writerow(_flat(record))
        out.flush()

    return write


def _flat(record: FlatRecord) -> FlatRecord:
    flat: dict[str, object] = {}
    for name, value in record.items():
        if isinstance(value, list | tuple):
            flat |= dict(zip((f"{name}_low", f"{name}_high"), value, strict=True))
        else:
            flat[name] = "" if value is None else value
    return flat


VISIT_COLUMNS = (
    *(
        "camera_id",
        "track_id",
        "first_seen",
        "first_seen_s",
        "last_seen",
        "last_seen_s",
        "dwell_s",
        "clock",
        "frames",
        "frame_rate_hz",
        "is_unsure",
        "faces_classified",
    ),
    *("age_years", "age_interval_years_low", "age_interval_years_high", "age_band", "unclassified"),
    *("gender", "gender_confidence", "male_probability", "nets", "closed"),
)
CAMERA_COLUMNS = (
    *("camera_id", "state", "since", "since_s", "reason", "detail"),
    *("captured_at", "captured_at_s", "clock", "width_px", "height_px", "frame_rate_hz"),
    *("captured_rate_hz", "is_overloaded", "written_at", "written_at_s", "delay_s", "present"),
)
COUNT_COLUMNS = ("start", "start_s", "camera_id", "age_band", "gender", "visits", "fewer_than")
