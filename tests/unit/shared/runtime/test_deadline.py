"""When a frame is too old, and when it only seems so because clocks differ."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import pytest

from agegender.shared.messages.pipeline import FrameInfo, Mode
from agegender.shared.runtime.deadline import Deadline
from tests.support.made_messages import frame_info

NOW_S = 1_700_000_000.0
LASTS_S = 120.0
CLOCK_DIFFERS = "the clock of an ingest host differs, set the clocks of all hosts by NTP"


def captured(age_s: float, camera: str = "door", now_s: float = NOW_S, **more: object) -> FrameInfo:
    return frame_info(camera, captured_at_s=now_s - age_s).model_copy(update=more)


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def admitted(ages_s: Iterable[float], every_s: float) -> list[bool]:
    """The answers to frames of these ages, one every `every_s` seconds, without evidence from Kafka."""
    clock, answers = Clock(), []
    deadline = Deadline(30.0, monotonic=clock)
    for age_s in ages_s:
        now_s = NOW_S + clock.now_s
        answers.append(deadline.admit(captured(age_s, now_s=now_s), now_s))
        clock.now_s += every_s
    return answers


@pytest.mark.parametrize(("age_s", "is_admitted"), [(-60.0, False), (0.0, True), (30.0, True), (30.1, False)])
def test_a_frame_older_than_the_deadline_is_stale(age_s: float, is_admitted: bool) -> None:
    """So is one from the future, because its age is not known."""
    deadline = Deadline(30.0)
    assert deadline.admit(captured(age_s), NOW_S) is is_admitted
    assert deadline.is_stale(captured(age_s), NOW_S) is not is_admitted


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
    deadline, info = Deadline(30.0), captured(3600.0, file=file, mode=mode)
    assert deadline.admit(info, NOW_S) is is_admitted
    assert deadline.is_stale(info, NOW_S) is not is_admitted


def test_a_backlog_is_dropped_up_to_the_deadline() -> None:
    ages_s = [600.0 - number * 0.2 for number in range(3000)]
    answers = admitted(ages_s, every_s=0.001)
    assert answers.index(True) == next(number for number, age_s in enumerate(ages_s) if age_s <= 30.0)
    assert all(answers[answers.index(True) :])


def test_a_long_backlog_is_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    assert not any(admitted([600.0 - number for number in range(10)], every_s=1.0))
    assert caplog.records == []
    assert not any(admitted([600.0 - number for number in range(135)], every_s=1.0))
    assert [one.getMessage() for one in caplog.records] == ["dropping stale frames"] * 3


def test_old_frames_stay_stale_without_evidence() -> None:
    assert not any(admitted([90.0] * 3000, every_s=0.2))


def test_each_camera_has_its_own_lateness() -> None:
    deadline = Deadline(30.0)
    assert not deadline.admit(captured(40.0, "door"), NOW_S)
    assert deadline.admit(captured(1.0, "hall"), NOW_S)
    assert not deadline.admit(captured(40.0, "door"), NOW_S)


class TestEvidence:
    """Kafka lacked one frame at a known time, and the next was published after that."""

    def setup_method(self) -> None:
        self.clock = Clock()
        self.deadline = Deadline(30.0, monotonic=self.clock)

    def _read(
        self, published_s: float, absent_at_s: float, stream: str = "s1", at_ingest_s: float = 0.0
    ) -> bool:
        """Whether a frame is admitted, published at this reading of a clock that is an hour behind."""
        published_at_s = NOW_S - 3600.0 + published_s
        info = frame_info(stream_id=stream, captured_at_s=published_at_s - at_ingest_s)
        info = info.model_copy(update={"published_at_s": published_at_s})
        self.deadline.note_read(info, absent_at_s)
        return self.deadline.admit(info, NOW_S + self.clock.now_s)

    def test_the_first_frame_of_a_stream_proves_nothing(self) -> None:
        assert not self._read(0.0, 0.0)

    def test_a_frame_of_the_same_batch_proves_nothing(self) -> None:
        """A batch may have waited for Kafka since it was published."""
        assert [self._read(0.0, 0.0) for _ in range(3)] == [False] * 3

    @pytest.mark.parametrize(("read_at_s", "is_admitted"), [(29.9, True), (30.1, False)])
    def test_a_later_frame_is_as_old_as_the_question(self, read_at_s: float, is_admitted: bool) -> None:
        self._read(0.0, 0.0)
        self.clock.now_s = read_at_s
        assert self._read(0.2, 0.0) is is_admitted

    def test_the_best_question_counts_for_all_frames(self) -> None:
        """The difference of the clocks stays as it is, so one short wait tells the age of every frame."""
        self._read(0.0, 0.0)
        self.clock.now_s = 1.0
        assert self._read(0.2, 0.0)
        self.clock.now_s = 30.0
        assert self._read(0.3, 0.0)
        self.clock.now_s = 31.0
        assert not self._read(0.4, 0.0)
        assert self._read(20.0, 0.0)

    def test_the_age_at_publishing_counts(self) -> None:
        self._read(0.0, 0.0)
        self.clock.now_s = 5.0
        assert self._read(0.2, 0.0, at_ingest_s=24.9)
        assert not self._read(0.2, 0.0, at_ingest_s=25.1)

    @pytest.mark.parametrize("to_s", [-60.0, 3600.0, 7200.0])
    def test_a_clock_that_is_set_starts_anew(self, to_s: float) -> None:
        self._read(0.0, 0.0)
        assert self._read(0.2, 0.0)
        self.clock.now_s = 1.0
        self._read(to_s, 1.0)
        assert self._read(to_s + 0.2, 1.0)
        self.clock.now_s = 40.0
        assert not self._read(to_s + 0.2, 1.0)

    @pytest.mark.parametrize("set_by_s", [-3600.0, 3600.0])
    @pytest.mark.parametrize("is_ours", [False, True], ids=["ingest", "detect"])
    def test_a_clock_set_during_a_stream_costs_no_frame(self, set_by_s: float, *, is_ours: bool) -> None:
        """The frames tell the time that passed, by a clock that is never set."""
        answers = []
        for number in range(100):
            elapsed_s, set_s = number * 0.2, set_by_s if number >= 40 else 0.0
            ahead_s, now_s = (0.0, set_s) if is_ours else (set_s, 0.0)
            self.clock.now_s = elapsed_s + 0.1
            published_at_s = NOW_S + elapsed_s + 0.05 + ahead_s
            info = frame_info(sequence=number, captured_at_s=NOW_S + elapsed_s + ahead_s)
            info = info.model_copy(update={"published_at_s": published_at_s, "elapsed_s": elapsed_s})
            self.deadline.note_read(info, elapsed_s // 5 * 5)
            answers.append(self.deadline.admit(info, NOW_S + self.clock.now_s + now_s))
        assert answers == [True] * 100

    def test_another_stream_starts_anew(self) -> None:
        """Another worker may have published it, by another clock."""
        self._read(0.0, 0.0)
        assert self._read(0.2, 0.0)
        assert not self._read(0.4, 1.0, stream="s2")
        assert self._read(0.6, 1.0, stream="s2")

    def test_right_after_an_outage_of_kafka_a_late_batch_is_stale(self) -> None:
        """It was stamped when ingest took it, and waited a minute for Kafka. Clocks are right."""
        for published_s in (3600.0, 3600.0, 3600.0):
            self.clock.now_s = 60.0
            assert not self._read(published_s, 59.0)
        assert self._read(3660.0, 59.0)


def lateness(
    cameras: int,
    cost_s: float,
    clock_off_s: float = 0.0,
    *,
    until_s: float = LASTS_S,
    fps: float = 5.0,
    asks_every_s: float = 5.0,
) -> tuple[float, int]:
    """The greatest true age of a frame that was looked at, and the number of such frames.

    Detect takes up to 14 frames of one camera after the other, as a Kafka consumer fetches them. Looking at
    one costs `cost_s`, dropping it 2 ms. Every few seconds it asks Kafka where each partition ends.

    Args:
        clock_off_s: how far the clock of ingest is ahead.
    """
    clock = Clock()
    deadline = Deadline(30.0, monotonic=clock)
    waiting: list[deque[tuple[int, float]]] = [deque() for _ in range(cameras)]
    ends, asks = [0] * cameras, [(-1.0, [0] * cameras)]
    oldest_s, looked_at = 0.0, 0

    def pass_time(seconds: float) -> None:
        clock.now_s += seconds
        for camera, queue in enumerate(waiting):
            while ends[camera] / fps <= clock.now_s:
                queue.append((ends[camera], ends[camera] / fps))
                ends[camera] += 1
        if clock.now_s >= asks[-1][0] + asks_every_s:
            asks.append((clock.now_s, list(ends)))

    while clock.now_s < until_s:
        pass_time(0.0 if any(waiting) else 0.05)
        for camera, queue in enumerate(waiting):
            for offset, captured_s in [queue.popleft() for _ in range(min(14, len(queue)))]:
                shown_s = NOW_S + captured_s + clock_off_s
                info = frame_info(f"cam{camera}", sequence=offset, captured_at_s=shown_s)
                info = info.model_copy(update={"published_at_s": shown_s + 0.05})
                deadline.note_read(
                    info, next(at_s for at_s, then in reversed(asks) if then[camera] <= offset)
                )
                if deadline.admit(info, NOW_S + clock.now_s):
                    oldest_s, looked_at = max(oldest_s, clock.now_s - captured_s), looked_at + 1
                    pass_time(cost_s)
                else:
                    pass_time(0.002)
    return oldest_s, looked_at


@pytest.mark.parametrize(("cameras", "share"), [(2, 2), (2, 6), (6, 3), (6, 12), (12, 6), (24, 2), (24, 12)])
@pytest.mark.parametrize("clock_off_s", [0.0, -3600.0, 3600.0], ids=["right", "behind", "ahead"])
def test_under_overload_no_late_frame_is_looked_at(
    cameras: int, share: int, clock_off_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    """The capacity is one `share`-th of what arrives. It is still used: a stale frame costs little."""
    cost_s = share / (5.0 * cameras)
    oldest_s, looked_at = lateness(cameras, cost_s, clock_off_s)
    assert oldest_s <= 30.0 + 1e-6
    assert looked_at * cost_s > 0.5 * LASTS_S
    warnings = [one.getMessage() for one in caplog.records].count(CLOCK_DIFFERS)
    assert warnings == (1 if clock_off_s else 0)


@pytest.mark.parametrize("clock_off_s", [-3600.0, 3600.0], ids=["behind", "ahead"])
def test_frames_of_a_wrong_clock_flow_with_one_warning(
    clock_off_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    oldest_s, looked_at = lateness(6, 0.01, clock_off_s)
    assert oldest_s < 1.0
    assert looked_at >= 6 * 5 * LASTS_S * 0.98
    assert [one.getMessage() for one in caplog.records] == [CLOCK_DIFFERS]
