"""What was found, as text: a table for people, JSON Lines and CSV for programs.

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

from rich.cells import cell_len, set_cell_size

from agegender.analysis.people import Analyzed, Person
from agegender.commands.analyze.inputs import Skipped
from agegender.commands.face_rows import age_text, face_record, gender_texts, interval_text
from agegender.shared.messages.pipeline import Result


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


class JsonRows:
    """One JSON object a line, its kind under `record`."""

    def __init__(self, out: TextOutput) -> None:
        self._out = out

    def begin(self) -> None:
        """Nothing."""

    def faces(self, source: str, frame: Analyzed) -> None:
        """See `Rows`."""
        for one in frame.faces:
            where = {"frame": frame.info.sequence, "time_s": _time_s(frame)}
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
CSV_COLUMNS = (
    *("record", "source", "frame", "time_s", "track_id", "index", "faces_in_frame"),
    *("left_px", "top_px", "right_px", "bottom_px"),
    *(f"{name}_{axis}_px" for name in _LANDMARKS for axis in "xy"),
    *("score", "quality", "age_years", "age_low_years", "age_high_years", "unclassified"),
    *("gender", "gender_confidence", "nets", "first_s", "last_s", "frames", "faces", "classified", "people"),
    *("undecoded", "error"),
)
"""The same for all kinds of rows; what a kind does not have is empty. Left and right are the picture's."""


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
                        "time_s": _time_s(frame),
                    },
                    **{"track_id": face.track_id, "index": face.index, "faces_in_frame": face.faces_in_frame},
                    **dict(zip(CSV_COLUMNS[7:21], (*face.box_xyxy, *points), strict=True)),
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


def _classification(one: Result | Person) -> dict[str, object]:
    low, high = one.age_interval_years or (None, None)
    ages = {"age_years": one.age_years, "age_low_years": low, "age_high_years": high}
    return {**ages, "gender": one.gender, "gender_confidence": one.gender_confidence, "nets": one.nets}


class TableRows:
    """A table that is printed as it grows, with columns of fixed width.

    Args:
        out: where to.
        width: of the lines, in cells of a terminal.
    """

    _REST = 72  # cells of all columns but the first

    def __init__(self, out: TextOutput, width: int = 100) -> None:
        self._out = out
        self._name_cells = max(16, width - self._REST)

    def begin(self) -> None:
        """The heading."""
        self._line("file", "time", "face", "id", "age", "between", "gender", "sure", "quality", "box, px")

    def faces(self, source: str, frame: Analyzed) -> None:
        """See `Rows`."""
        time_s = _time_s(frame)
        for one in frame.faces:
            face = one.face
            left, top, right, bottom = face.box_xyxy
            self._line(
                source,
                "" if time_s is None else f"{time_s:.2f}",
                f"{face.index + 1} of {face.faces_in_frame}",
                "" if face.track_id is None else f"#{face.track_id}",
                *_age_and_gender(one),
                "" if face.quality is None else f"{face.quality:.2f}",
                f"{right - left:.0f}x{bottom - top:.0f} at {left:.0f},{top:.0f}",
            )

    def person(self, source: str, person: Person) -> None:
        """See `Rows`."""
        seen = f"in {person.faces} frames, {person.first_s:.1f} to {person.last_s:.1f} s"
        age = "not classified" if person.age_years is None else f"{person.gender} {person.age_years:.0f}"
        between, sure = interval_text(person.age_interval_years), f"{person.gender_confidence * 100:.0f} %"
        told = age if person.age_years is None else f"{age}{between and f' ({between})'}, {sure} sure"
        self._out.write(f"{self._name(source)}  person #{person.track_id}: {told}; {seen}\n")

    def end(self, source: str, totals: Totals) -> None:
        """See `Rows`; errors are told elsewhere."""
        if totals.error is None and totals.faces == 0:
            self._out.write(f"{self._name(source)}  no face\n")

    def summary(self, summary: Summary) -> None:
        """Nothing: standard error tells it."""

    def _line(self, name: str, *cells: str) -> None:
        time_s, face, track, age, between, gender, sure, quality, box = cells
        self._out.write(
            f"{self._name(name)} {time_s:>7} {face:>8} {track:>4} {age:>4} {between:>7} {gender:<8}{sure:>4} "
            f"{quality:>7}  {box}".rstrip()
            + "\n"
        )

    def _name(self, name: str) -> str:
        printable = "".join(sign if sign.isprintable() else "?" for sign in name)
        cut = printable
        while cell_len(cut) > self._name_cells - (cut is not printable):
            cut = cut[1:]
        return set_cell_size(printable if cut is printable else "…" + cut, self._name_cells)


def _age_and_gender(one: Result) -> tuple[str, str, str, str]:
    if one.age_years is None:
        return "-", "-", age_text(one), ""
    return age_text(one), interval_text(one.age_interval_years), *gender_texts(one)


def _time_s(frame: Analyzed) -> float | None:
    return None if frame.info.media_time_s is None and frame.info.file is not None else round(frame.time_s, 3)
