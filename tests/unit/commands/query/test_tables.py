"""Times in the tables for people: none is ambiguous, in any zone."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from io import StringIO
from zoneinfo import ZoneInfo

import pytest
from rich.console import Console, RenderableType

from agegender.commands.query.tables import counts_table, visits_table
from agegender.shared.messages.visits import Visit
from agegender.shared.store import GivenCount, Period

BERLIN = ZoneInfo("Europe/Berlin")


def first_cells(table: RenderableType) -> list[str]:
    out = StringIO()
    Console(file=out, width=200).print(table)
    rows = [line.split("  ")[0].strip() for line in out.getvalue().splitlines()]
    return [row for row in rows if row[:2] == "20"]


def counts(*starts: datetime) -> list[GivenCount]:
    return [GivenCount(one.timestamp(), "door", "20-29", "male", 1) for one in starts]


def visit(first_seen_s: float) -> Visit:
    return Visit(
        camera_id="door",
        track_id="s1-0-1",
        first_seen_s=first_seen_s,
        last_seen_s=first_seen_s + 1,
        clock="camera",
        frames=5,
        faces_classified=0,
        unclassified="too-small",
        closed="left",
    )


@pytest.mark.parametrize(
    ("zone", "shown"),
    [
        ("Asia/Kolkata", "2026-11-22 22:30+05:30"),
        ("Asia/Kathmandu", "2026-11-22 22:45+05:45"),
        ("America/St_Johns", "2026-11-22 13:30-03:30"),
        ("UTC", "2026-11-22 17:00+00:00"),
    ],
)
def test_an_hour_is_shown_with_its_minutes_and_offset(zone: str, shown: str) -> None:
    hour = datetime(2026, 11, 22, 17, tzinfo=ZoneInfo("UTC"))
    assert first_cells(counts_table(counts(hour), "hour", ZoneInfo(zone))) == [shown]


@pytest.mark.parametrize("by", ["minute", "hour"])
def test_the_hour_that_comes_twice_is_told_apart(by: Period) -> None:
    first = datetime(2026, 10, 25, 0, tzinfo=ZoneInfo("UTC"))
    table = counts_table(counts(first, first + timedelta(hours=1)), by, BERLIN)
    assert first_cells(table) == ["2026-10-25 02:00+02:00", "2026-10-25 02:00+01:00"]


def test_days_are_marked_as_those_of_utc() -> None:
    day = datetime(2026, 11, 22, tzinfo=ZoneInfo("UTC"))
    assert first_cells(counts_table(counts(day), "day", BERLIN)) == ["2026-11-22 UTC"]


def test_a_visit_in_another_offset_than_now_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 12, 1, 12, tzinfo=BERLIN)
    monkeypatch.setattr(time, "time", now.timestamp)
    in_summer = visit(datetime(2026, 7, 1, 12, tzinfo=BERLIN).timestamp())
    in_winter = visit(datetime(2026, 11, 1, 12, tzinfo=BERLIN).timestamp())
    table = visits_table("Visits", [in_summer, in_winter], BERLIN)
    assert first_cells(table) == ["2026-07-01 12:00:00+02:00", "2026-11-01 12:00:00"]
