"""When a frame is too old, and when it only seems so."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from agegender.shared.messages.pipeline import FrameInfo, Mode
from agegender.shared.runtime.deadline import Deadline
from tests.support.made_messages import frame_info

NOW_S = 1_700_000_000.0


def taken(age_s: float, camera: str = "door", now_s: float = NOW_S, **more: object) -> FrameInfo:
    return frame_info(camera, captured_at_s=now_s - age_s).model_copy(update=more)


def stale(deadline: Deadline, ages_s: Iterable[float], every_s: float) -> list[bool]:
    """What is said of frames of these ages, of which one comes `every_s` seconds."""
    moments = ((age_s, NOW_S + number * every_s) for number, age_s in enumerate(ages_s))
    return [deadline.is_stale(taken(age_s, now_s=now_s), now_s) for age_s, now_s in moments]


@pytest.mark.parametrize(("age_s", "is_stale"), [(-60.0, False), (0.0, False), (30.0, False), (30.1, True)])
def test_a_frame_is_stale_when_it_was_taken_longer_ago_than_the_deadline(
    age_s: float, is_stale: bool
) -> None:
    assert Deadline(30.0).is_stale(taken(age_s), NOW_S) is is_stale


@pytest.mark.parametrize(
    ("file", "mode", "is_stale"),
    [
        (None, None, True),
        (None, "live", True),
        (None, "complete", False),
        ("monday.mp4", None, False),
        ("monday.mp4", "complete", False),
        ("monday.mp4", "live", True),
    ],
)
def test_what_is_complete_is_never_stale(file: str | None, mode: Mode | None, is_stale: bool) -> None:
    assert Deadline(30.0).is_stale(taken(3600.0, file=file, mode=mode), NOW_S) is is_stale


def test_a_backlog_is_dropped_up_to_the_deadline_and_not_beyond() -> None:
    ages_s = [600.0 - number * 0.2 for number in range(3000)]
    said = stale(Deadline(30.0), ages_s, every_s=0.001)
    assert said.index(False) == next(number for number, age_s in enumerate(ages_s) if age_s <= 30.0)
    assert not any(said[said.index(False) :])


def test_under_a_load_that_is_too_much_it_goes_on_dropping_however_long_it_lasts() -> None:
    deadline = Deadline(5.0)
    now_s, captured_s, taken_in = NOW_S, NOW_S - 1.0, 0
    for _ in range(2000):  # of each camera five frames a second, of which one can be looked at
        captured_s += 0.2
        if deadline.is_stale(taken(now_s - captured_s, now_s=now_s), now_s):
            now_s += 0.001
        else:
            taken_in, now_s = taken_in + 1, max(now_s, captured_s) + 1.0
        assert now_s - captured_s < 5.0 + 1.5
    assert taken_in == pytest.approx(400, rel=0.1)


def test_frames_that_only_seem_old_are_taken_after_ten_seconds_and_said_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    said = stale(Deadline(30.0), [90.0] * 500, every_s=0.2)
    assert all(said[:50])
    assert not any(said[51:])
    assert [one.getMessage() for one in caplog.records] == [
        "frames are too old, and dropped",
        "frames are no younger for dropping others: clocks differ",
    ]


def test_against_a_wrong_clock_the_deadline_still_holds() -> None:
    deadline = Deadline(30.0)
    stale(deadline, [90.0] * 100, every_s=0.2)
    later_s = NOW_S + 20.0
    assert not deadline.is_stale(taken(119.0, now_s=later_s), later_s)
    assert deadline.is_stale(taken(121.0, now_s=later_s), later_s)


def test_a_clock_that_was_set_right_is_believed_again() -> None:
    deadline = Deadline(30.0)
    stale(deadline, [90.0] * 100, every_s=0.2)
    later_s = NOW_S + 20.0
    assert not deadline.is_stale(taken(0.1, now_s=later_s), later_s)
    assert deadline.is_stale(taken(31.0, now_s=later_s), later_s)


def test_cameras_are_late_apart_from_each_other() -> None:
    deadline = Deadline(30.0)
    assert deadline.is_stale(taken(40.0, "door"), NOW_S)
    assert not deadline.is_stale(taken(1.0, "hall"), NOW_S)
    assert deadline.is_stale(taken(40.0, "door"), NOW_S)
