"""What the store holds as flat records of plain values, for JSON and for CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import IO

from agegender.commands.face_rows import face_record
from agegender.shared.messages.visits import Visit
from agegender.shared.store import CameraStatus, GivenCount, StoredResult

FlatRecord = Mapping[str, object]
"""Plain values by name, ready for JSON."""


def visit_record(visit: Visit) -> FlatRecord:
    """One visit. Times are seconds since 1970 UTC."""
    return {
        **visit.model_dump(mode="json"),
        "age_band": visit.age_band,
        "dwell_s": round(visit.dwell_s, 3),
    }


def count_record(count: GivenCount) -> FlatRecord:
    """The visits of one camera, age band and gender in one minute, hour or day."""
    return {
        "start": datetime.fromtimestamp(count.start_s, tz=UTC).isoformat().replace("+00:00", "Z"),
        "start_s": count.start_s,
        "camera_id": count.camera_id,
        "age_band": count.age_band,
        "gender": count.gender,
        "visits": count.visits,
        "fewer_than": count.fewer_than,
    }


def camera_record(camera: CameraStatus) -> FlatRecord:
    """The state of one camera."""
    record = asdict(camera)
    record["width_px"], record["height_px"] = record.pop("size_wh")
    return record


def stored_face_record(stored: StoredResult) -> FlatRecord:
    """One classified face, with the time when it was stored and the delay since its capture."""
    return {
        **face_record(stored.result),
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
        "first_seen_s",
        "last_seen_s",
        "dwell_s",
        "clock",
        "frames",
        "faces_classified",
    ),
    *("age_years", "age_interval_years_low", "age_interval_years_high", "age_band", "unclassified"),
    *("gender", "gender_confidence", "male_probability", "nets", "closed"),
)
CAMERA_COLUMNS = (
    *("camera_id", "captured_at_s", "clock", "width_px", "height_px", "frame_rate_hz"),
    *("written_at_s", "delay_s", "present"),
)
COUNT_COLUMNS = ("start", "start_s", "camera_id", "age_band", "gender", "visits", "fewer_than")
