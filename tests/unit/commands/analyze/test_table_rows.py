"""The table fits its terminal, and without a terminal it cuts nothing."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len

from agegender.analysis.people import Analyzed, Person
from agegender.commands.analyze.rows import PeopleOnly, Totals
from agegender.commands.analyze.table_rows import TableRows
from agegender.shared.messages.pipeline import Result
from tests.support.made_messages import face_info, frame_info, result, unclassified_result

LONG = "holiday/2025-08-summer-in-the-mountains/IMG_20250814_120000_0017.jpeg"


def frame(time_s: float | None, *faces: Result) -> Analyzed:
    info = frame_info().model_copy(update={"file": LONG, "media_time_s": time_s})
    found = tuple(
        one.model_copy(update={"face": one.face.model_copy(update={"frame": info})}) for one in faces
    )
    return Analyzed(info, time_s or 0.0, found)


def wide_faces() -> tuple[Result, ...]:
    """Faces whose cells are as long as they get."""
    box = {"box_xyxy": (10_000.0, 10_000.0, 11_234.0, 11_234.0), "track_id": "1234", "quality": 0.5}
    info = face_info(index=98, faces_in_frame=100).model_copy(update=box)
    classified = result(info, age_years=29).model_copy(update={"age_interval_years": (21.0, 100.0)})
    return classified, unclassified_result(info, "too-blurred")


def person(number: int = 12, faces: int = 1_234) -> Person:
    return Person(str(number), 0.0, 1_112.4, faces, 5, 34.0, (27.0, 41.0), "female", 0.93, "nets-1")


def written(width: int | None) -> list[str]:
    out = io.StringIO()
    rows = TableRows(out, width)
    rows.begin()
    rows.faces(LONG, frame(12_345.67, *wide_faces()))
    rows.person(LONG, person())
    rows.end(LONG, Totals(frames=12_345, faces=1_234, people=12))
    rows.end("empty.mp4", Totals(frames=12, people=0))
    rows.end(LONG, Totals(frames=1))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [60, 72, 80, 100, 120, 200])
def test_no_line_is_longer_than_the_terminal(width: int) -> None:
    assert max(cell_len(line) for line in written(width)) <= width


@pytest.mark.parametrize("width", [80, 100])
def test_the_usual_terminals_show_both_ends_of_a_name(width: int) -> None:
    heading, face, blurred, seen, total, empty, none = written(width)
    assert face.startswith("holiday/")
    assert face.split()[0].endswith("0017.jpeg" if width == 100 else "_0017.jpeg")
    assert "\N{HORIZONTAL ELLIPSIS}" in face.split()[0]
    assert "too blurred" in blurred
    assert seen.endswith("person #12: female 34 (27\N{EN DASH}41), 93 %; 1234 frames, 0.0 to 1112.4 s")
    assert total.endswith("12 people, 1234 faces in 12345 frames")
    assert empty.endswith("no person, no face in 12 frames")
    assert none.endswith("  no face")
    assert ("box, px" in heading) == (width == 100)


def test_without_a_terminal_nothing_is_cut() -> None:
    lines = written(None)
    assert [line.startswith(LONG) for line in lines] == [False, True, True, True, True, False, True]
    assert lines[1].endswith("1234x1234 at 10000,10000")


def test_people_only_leaves_out_the_faces_of_videos() -> None:
    out = io.StringIO()
    rows = PeopleOnly(TableRows(out, None))
    rows.faces("clip.mp4", frame(0.2, *wide_faces()))
    assert out.getvalue() == ""
    rows.person("clip.mp4", person())
    rows.faces("photo.jpg", frame(None, result()))
    assert [line.split()[0] for line in out.getvalue().splitlines()] == ["clip.mp4", "photo.jpg"]
