"""Times in a query follow the parser of the command line, with the zone of `tz` or of the machine."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from agegender.services.api.queries import CountsQuery, VisitsQuery

NOON_S = 1_795_348_800.0
HOUR_S = 3600


@pytest.fixture(autouse=True)
def _in_kolkata(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    "text",
    [
        "1795348800",
        "1795348800.0",
        "2026-11-22T12:00:00Z",
        "2026-11-22T17:30:00",
        "2026-11-22 17:30",
        "2026-11-22T13:00:00+01:00",
    ],
)
def test_a_time_can_be_written_in_several_ways(text: str) -> None:
    assert CountsQuery.model_validate({"since": text}).since == NOON_S


def test_a_day_begins_at_local_midnight() -> None:
    assert CountsQuery.model_validate({"since": "2026-11-22"}).since == NOON_S - 17.5 * HOUR_S


@pytest.mark.parametrize("query", [CountsQuery, VisitsQuery])
def test_tz_moves_the_beginning_of_a_day(query: type[CountsQuery | VisitsQuery]) -> None:
    asked = query.model_validate({"until": "2026-11-23", "since": "2026-11-22", "tz": "America/New_York"})
    assert (asked.since, asked.until) == (NOON_S - 7 * HOUR_S, NOON_S + 17 * HOUR_S)


def test_an_unknown_tz_is_named() -> None:
    with pytest.raises(ValidationError, match=r"tz\n.*Europe/Berlin"):
        CountsQuery.model_validate({"tz": "Berlin", "since": "2026-11-22"})
