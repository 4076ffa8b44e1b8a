"""Points in time as people write them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from agegender.shared.times import moment_s

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
        ("1700000000.5", datetime.fromtimestamp(1_700_000_000.5, tz=UTC)),
    ],
)
def test_a_time_is_understood_as_a_person_means_it(text: str, expected: datetime) -> None:
    assert moment_s(text, NOW_S) == expected.timestamp()


@pytest.mark.parametrize("text", ["", "soon", "2h30", "-2h", "2026-13-01", "14:30", "12", "9" * 400, "nan"])
def test_anything_else_is_refused_with_what_was_expected(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time as 30m"):
        moment_s(text, NOW_S)
