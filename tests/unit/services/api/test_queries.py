"""Moments in a query mean the same wherever the API runs."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from agegender.services.api.queries import CountsQuery

NOON_S = 1_795_348_800.0


@pytest.fixture(params=["UTC", "Asia/Kolkata"])
def _zone_of_the_machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_zone_of_the_machine")
@pytest.mark.parametrize(
    "written",
    [
        "1795348800",
        "1795348800.0",
        "2026-11-22T12:00:00Z",
        "2026-11-22T12:00:00",
        "2026-11-22 12:00",
        "2026-11-22T13:00:00+01:00",
    ],
)
def test_a_moment_can_be_written_in_several_ways(written: str) -> None:
    assert CountsQuery.model_validate({"since": written}).since == NOON_S


@pytest.mark.usefixtures("_zone_of_the_machine")
def test_a_day_begins_at_midnight_in_utc() -> None:
    assert CountsQuery.model_validate({"since": "2026-11-22"}).since == NOON_S - 12 * 3600
