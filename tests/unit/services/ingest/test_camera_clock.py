"""Which of the times that a camera tells are believed."""

from __future__ import annotations

import pytest

from agegender.services.ingest.camera_clock import CLOCK_TOLERANCE_S, ClockTrust


def test_a_small_clock_skew_is_accepted_and_a_large_one_is_not() -> None:
    trust = ClockTrust("door")
    assert trust.admit(100.0, 101.0)
    assert not trust.admit(101.0, 102.0 + CLOCK_TOLERANCE_S)
    assert trust.admit(102.0, 102.0)


def test_a_clock_running_backwards_is_rejected_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    trust = ClockTrust("door")
    assert [trust.admit(100.0 - n / 5, 100.0 + n / 5) for n in range(20)] == [True] + [False] * 19
    assert [record.message for record in caplog.records].count(
        "camera clock is wrong, the time of arrival is taken"
    ) == 1
    assert trust.admit(104.0, 104.0)
