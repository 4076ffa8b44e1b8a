"""Points in time as people write them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from agegender.shared.times import parse_time_s, parse_zone

NOW_S = datetime(2026, 11, 22, 14, 30, tzinfo=UTC).timestamp()


@pytest.fixture(autouse=True)
def in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", datetime(2026, 11, 22, 14, 30, tzinfo=UTC)),
        ("45s", datetime(2026, 11, 22, 14, 29, 15, tzinfo=UTC)),
        ("30m", datetime(2026, 11, 22, 14, 0, tzinfo=UTC)),
        ("2h", datetime(2026, 11, 22, 12, 30, tzinfo=UTC)),
        ("7d", datetime(2026, 11, 15, 14, 30, tzinfo=UTC)),
        ("today", datetime(2026, 11, 21, 23, 0, tzinfo=UTC)),
        ("Yesterday", datetime(2026, 11, 20, 23, 0, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 19, 23, 0, tzinfo=UTC)),
        ("2026-07-01T12:00", datetime(2026, 7, 1, 10, 0, tzinfo=UTC)),
        ("2026-11-22T14:30:00Z", datetime(2026, 11, 22, 14, 30, tzinfo=UTC)),
        ("2026-11-22T14:30:00-05:00", datetime(2026, 11, 22, 19, 30, tzinfo=UTC)),
        ("1700000000", datetime.fromtimestamp(1_700_000_000, tz=UTC)),
        ("20261122", datetime(2026, 11, 21, 23, 0, tzinfo=UTC)),
        ("0", datetime(1970, 1, 1, tzinfo=UTC)),
        ("1700000000.5", datetime.fromtimestamp(1_700_000_000.5, tz=UTC)),
    ],
)
def test_a_time_is_local_unless_it_names_a_zone(text: str, expected: datetime) -> None:
    assert parse_time_s(text, NOW_S) == expected.timestamp()


@pytest.mark.parametrize("text", ["", "soon", "2h30", "-2h", "2026-13-01", "14:30", "12", "9" * 400, "nan"])
def test_anything_else_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time as 30m"):
        parse_time_s(text, NOW_S)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("today", datetime(2026, 11, 22, 5, 0, tzinfo=UTC)),
        ("yesterday", datetime(2026, 11, 21, 5, 0, tzinfo=UTC)),
        ("2026-11-20", datetime(2026, 11, 20, 5, 0, tzinfo=UTC)),
        ("2026-07-01T12:00", datetime(2026, 7, 1, 16, 0, tzinfo=UTC)),
        ("2026-11-22T14:30:00Z", datetime(2026, 11, 22, 14, 30, tzinfo=UTC)),
        ("2h", datetime(2026, 11, 22, 12, 30, tzinfo=UTC)),
    ],
)
def test_a_zone_replaces_the_local_one(text: str, expected: datetime) -> None:
    assert parse_time_s(text, NOW_S, parse_zone("America/New_York")) == expected.timestamp()


def test_yesterday_before_a_change_of_clocks_begins_at_midnight() -> None:
    # In Berlin the clocks went back on 2026-10-25, a day of 25 hours.
    now_s = datetime(2026, 10, 26, 12, 0, tzinfo=UTC).timestamp()
    midnight = datetime(2026, 10, 24, 22, 0, tzinfo=UTC).timestamp()
    assert parse_time_s("yesterday", now_s) == midnight
    assert parse_time_s("yesterday", now_s, parse_zone("Europe/Berlin")) == midnight


@pytest.mark.parametrize("name", ["", "Berlin", "Europe", "../etc/passwd", "/etc/passwd", "A" * 300, "a\0b"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected the name of a time zone, such as Europe/Berlin"):
        parse_zone(name)
