"""What was found, as text for programs: JSON Lines and CSV. `table_rows` has the table for people.

Three kinds of rows: `face`, one for each face; `person`, one for each person of a video, after its faces; and
`source`, one for each picture, video or camera, after everything that was found in it, with how much that was
or with the error. A source that has its row is complete. In JSON, the last line is a `summary`. It also tells
which files were skipped.
"""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from agegender.analysis.people import Analyzed, Person
from agegender.commands.analyze.inputs import Skipped
from agegender.commands.face_rows import face_record
from agegender.shared.messages.pipeline import Result
from agegender.shared.times import iso_time


@dataclass(frozen=True, slots=True)
class Totals:
    """How much was found in a source."""

    frames: int = 0
    """That were analyzed; 1 for a picture."""
    faces: int = 0
    people: int | None = None
    """None for a picture."""
    undecoded: int = 0
    """Frames of a video that could not be decoded."""
    error: str | None = None
    """Why the source could not be read, or not to its end, or not in full."""


@dataclass(frozen=True, slots=True)
class Summary:
    """How a run ended."""

    sources: int
    failed: int
    """The sources with an error."""
    skipped: tuple[Skipped, ...] = ()


class TextOutput(Protocol):
    """What rows are written to: a file, or the terminal."""

    def write(self, text: str, /) -> object:
        """Takes whole lines."""

    def flush(self) -> object:
        """Hands everything on."""


class Rows(Protocol):
    """Where rows go. Each call writes whole lines."""

    def begin(self) -> None:
        """What stands above all rows."""

    def faces(self, source: str, frame: Analyzed) -> None:
        """The faces of a picture, or of one frame of a video."""

    def person(self, source: str, person: Person) -> None:
        """OngoingPerson in a video."""

    def end(self, source: str, totals: Totals) -> None:
        """The source is done, or has failed."""

    def summary(self, summary: Summary) -> None:
        """All sources are done or have failed."""


class PeopleOnly:
    """The same rows, without the faces of videos and cameras. A face of a picture is a person, too."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.begin, self.person, self.end, self.summary = rows.begin, rows.person, rows.end, rows.summary

    def faces(self, source: str, frame: Analyzed) -> None:
        """See `Rows`."""
        if time_of(frame) is None:
            self._rows.faces(source, frame)


class JsonRows:
    """One JSON object a line, its kind under `record`."""

    def __init__(self, out: TextOutput) -> None:
        self._out = out

    def begin(self) -> None:
        """Nothing."""

    def faces(self, source: str, frame: Analyzed) -> None:
        """See `Rows`."""
        for one in frame.faces:
            where = {"frame": frame.info.sequence, "time_s": time_of(frame)}
            self._write("face", source, {**where, **face_record(one)})

    def person(self, source: str, person: Person) -> None:
        """See `Rows`."""
        self._write("person", source, asdict(person))

    def end(self, source: str, totals: Totals) -> None:
        """See `Rows`."""
        self._write("source", source, asdict(totals))

    def summary(self, summary: Summary) -> None:
        """The last line of a run that came to its end."""
        skipped = [{"source": one.shown, "reason": one.reason.value} for one in summary.skipped]
        fields = {"sources": summary.sources, "failed": summary.failed, "skipped": skipped}
        self._out.write(json.dumps({"record": "summary", "source": None, **fields}) + "\n")

    def _write(self, record: str, source: str, fields: dict[str, Any]) -> None:
        self._out.write(json.dumps({"record": record, "source": source, **fields}) + "\n")


_LANDMARKS = ("eye_left", "eye_right", "nose", "mouth_left", "mouth_right")
_POSITION_COLUMNS = (
    *("left_px", "top_px", "right_px", "bottom_px"),
    *(f"{name}_{axis}_px" for name in _LANDMARKS for axis in "xy"),
)
CSV_COLUMNS = (
    *("record", "source", "frame", "time_s", "captured_at", "captured_at_s"),
    *("track_id", "index", "faces_in_frame"),
    *_POSITION_COLUMNS,
    *("score", "quality", "age_years", "age_low_years", "age_high_years", "unclassified"),
    *("gender", "gender_confidence", "nets", "first_s", "last_s", "frames", "faces", "classified", "people"),
    *("undecoded", "error"),
)
"""The same for all kinds of rows; what a kind does not have is empty. Left and right are the picture's.

Only a frame of a camera was captured at a known time.
"""


class CsvRows:
    """Comma-separated values as RFC 4180 has them, with a heading."""

    def __init__(self, out: TextOutput) -> None:
        self._csv = csv.DictWriter(out, CSV_COLUMNS, restval="", lineterminator="\r\n")

    def begin(self) -> None:
        """The heading."""
        self._csv.writeheader()

    def faces(self, source: str, frame: Analyzed) -> None:
        """See `Rows`."""
        for one in frame.faces:
            face = one.face
            points = [side for point in face.landmarks_xy for side in point]
            self._csv.writerow(
                {
                    **{
                        "record": "face",
                        "source": source,
                        "frame": frame.info.sequence,
                        "time_s": time_of(frame),
                    },
                    **_captured(frame),
                    **{"track_id": face.track_id, "index": face.index, "faces_in_frame": face.faces_in_frame},
                    **dict(zip(_POSITION_COLUMNS, (*face.box_xyxy, *points), strict=True)),
                    **{"score": face.score, "quality": face.quality, "unclassified": one.unclassified},
                    **_classification(one),
                }
            )

    def person(self, source: str, person: Person) -> None:
        """See `Rows`."""
        self._csv.writerow(
            {
                **{"record": "person", "source": source, "track_id": person.track_id},
                **{"first_s": person.first_s, "last_s": person.last_s},
                **{"faces": person.faces, "classified": person.classified},
                **_classification(person),
            }
        )

    def end(self, source: str, totals: Totals) -> None:
        """See `Rows`."""
        self._csv.writerow({"record": "source", "source": source, **asdict(totals)})

    def summary(self, summary: Summary) -> None:
        """Nothing: standard error tells it."""


def _captured(frame: Analyzed) -> dict[str, object]:
    if frame.info.file is not None:
        return {}
    time_s = frame.info.captured_at_s
    return {"captured_at": iso_time(time_s), "captured_at_s": time_s}


def _classification(one: Result | Person) -> dict[str, object]:
    low, high = one.age_interval_years or (None, None)
    ages = {"age_years": one.age_years, "age_low_years": low, "age_high_years": high}
    return {**ages, "gender": one.gender, "gender_confidence": one.gender_confidence, "nets": one.nets}


def time_of(frame: Analyzed) -> float | None:
    """The seconds since the beginning of a video, or since a camera began; None for a picture."""
    return None if frame.info.media_time_s is None and frame.info.file is not None else round(frame.time_s, 3)
