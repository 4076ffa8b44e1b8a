"""When a frame is too old, and when it only seems so because clocks differ."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from agegender.shared.messages.pipeline import FrameInfo, Mode
from agegender.shared.runtime.deadline import Deadline
from tests.support.made_messages import frame_info

NOW_S = 1_700_000_000.0


def captured(age_s: float, camera: str = "door", now_s: float = NOW_S, **more: object) -> FrameInfo:
    return frame_info(camera, captured_at_s=now_s - age_s).model_copy(update=more)


def admitted(deadline: Deadline, ages_s: Iterable[float], every_s: float) -> list[bool]:
    """The answers to frames of these ages, one every `every_s` seconds."""
    moments = ((age_s, NOW_S + number * every_s) for number, age_s in enumerate(ages_s))
    return [deadline.admit(captured(age_s, now_s=now_s), now_s) for age_s, now_s in moments]


@pytest.mark.parametrize(("age_s", "is_admitted"), [(-60.0, True), (0.0, True), (30.0, True), (30.1, False)])
def test_a_frame_older_than_the_deadline_is_stale(age_s: float, is_admitted: bool) -> None:
    assert Deadline(30.0).admit(captured(age_s), NOW_S) is is_admitted


@pytest.mark.parametrize(
    ("file", "mode", "is_admitted"),
    [
        (None, None, False),
        (None, "live", False),
        (None, "complete", True),
        ("monday.mp4", None, True),
        ("monday.mp4", "complete", True),
        ("monday.mp4", "live", False),
    ],
)
def test_a_frame_in_complete_mode_is_never_stale(
    file: str | None, mode: Mode | None, is_admitted: bool
) -> None:
    assert Deadline(30.0).admit(captured(3600.0, file=file, mode=mode), NOW_S) is is_admitted


def test_a_backlog_is_dropped_up_to_the_deadline() -> None:
    ages_s = [600.0 - number * 0.2 for number in range(3000)]
    answers = admitted(Deadline(30.0), ages_s, every_s=0.001)
    assert answers.index(True) == next(number for number, age_s in enumerate(ages_s) if age_s <= 30.0)
    assert all(answers[answers.index(True) :])


def test_under_overload_dropping_continues() -> None:
    deadline = Deadline(5.0)
    now_s, captured_s, processed = NOW_S, NOW_S - 1.0, 0
    for _ in range(2000):  # a camera with five frames a second, of which one can be processed
        captured_s += 0.2
        if deadline.admit(captured(now_s - captured_s, now_s=now_s), now_s):
            processed, now_s = processed + 1, max(now_s, captured_s) + 1.0
        else:
            now_s += 0.001
        assert now_s - captured_s < 5.0 + 1.5
    assert processed == pytest.approx(400, rel=0.1)


def test_after_ten_seconds_a_wrong_clock_is_recognised(caplog: pytest.LogCaptureFixture) -> None:
    answers = admitted(Deadline(30.0), [90.0] * 500, every_s=0.2)
    assert not any(answers[:50])
    assert all(answers[51:])
    assert [one.getMessage() for one in caplog.records] == [
        "dropping stale frames",
        "frames stay old although others are dropped: clocks differ",
    ]


@pytest.mark.parametrize(("younger_by_s", "is_admitted"), [(0.9, True), (1.1, False)])
def test_a_gain_of_a_second_shows_that_clocks_agree(younger_by_s: float, is_admitted: bool) -> None:
    """Frames that are a second younger after ten seconds of dropping are late, not mistimed."""
    deadline = Deadline(30.0)
    assert not deadline.admit(captured(90.0), NOW_S)
    later_s = NOW_S + 10.0
    assert deadline.admit(captured(90.0 - younger_by_s, now_s=later_s), later_s) is is_admitted


def test_a_long_backlog_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    answers = admitted(Deadline(30.0), [600.0 - number for number in range(130)], every_s=1.0)
    assert not any(answers)
    assert [one.getMessage() for one in caplog.records] == ["dropping stale frames"] * 3


def test_against_a_wrong_clock_the_deadline_still_holds() -> None:
    deadline = Deadline(30.0)
    admitted(deadline, [90.0] * 100, every_s=0.2)
    later_s = NOW_S + 20.0
    assert deadline.admit(captured(119.0, now_s=later_s), later_s)
    assert not deadline.admit(captured(121.0, now_s=later_s), later_s)


def test_a_corrected_clock_is_believed_again() -> None:
    deadline = Deadline(30.0)
    admitted(deadline, [90.0] * 100, every_s=0.2)
    later_s = NOW_S + 20.0
    assert deadline.admit(captured(0.1, now_s=later_s), later_s)
    assert not deadline.admit(captured(31.0, now_s=later_s), later_s)


def test_each_camera_has_its_own_lateness() -> None:
    deadline = Deadline(30.0)
    assert not deadline.admit(captured(40.0, "door"), NOW_S)
    assert deadline.admit(captured(1.0, "hall"), NOW_S)
    assert not deadline.admit(captured(40.0, "door"), NOW_S)
