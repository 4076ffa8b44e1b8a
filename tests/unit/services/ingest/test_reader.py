"""A camera's reader with streams that do what cameras do at their worst: fail, flap and hang."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from agegender.services.ingest import reader as reader_module
from agegender.services.ingest.mailbox import Mailbox, WhenFull
from agegender.services.ingest.reader import CameraReader, ReaderSettings, always
from agegender.services.ingest.sources.stream import (
    CameraError,
    CapturedFrame,
    FailureReason,
    StreamFrame,
    Waiting,
    Wanted,
)
from agegender.shared.images.pictures import Bgr, UnreadablePicture
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.backoff import Backoff
from tests.support.waiting import wait_until

REFUSED = CameraError(FailureReason.REFUSED, "nothing listens")
WRONG_LOGIN = CameraError(FailureReason.LOGIN, "wrong password")


def picture() -> Bgr:
    return np.zeros((2, 2, 3), np.uint8)


def frames(count: int, then: Exception | None = None) -> Iterator[StreamFrame]:
    for number in range(count):
        yield StreamFrame(float(number), time.time(), "arrival", picture)
    if then is not None:
        raise then


@dataclass
class Scripted:
    """A stream that gives what it was made with."""

    given: Iterator[StreamFrame | Waiting]
    closed: threading.Event = field(default_factory=threading.Event)

    def frames(self) -> Iterator[StreamFrame | Waiting]:
        return self.given

    def close(self) -> None:
        self.closed.set()


LIVE_SETTINGS = ReaderSettings(
    fps=60,
    when_full=WhenFull.REPLACE,
    reopens=True,
    backoff=lambda: Backoff(0.01, 0.08),
    login_backoff=lambda: Backoff(0.02, 0.64),
)
FILE_SETTINGS = replace(LIVE_SETTINGS, when_full=WhenFull.WAIT, reopens=False)


class Bench:
    """One reader, and what comes out of it."""

    def __init__(
        self,
        open_stream: Callable[[], Scripted],
        settings: ReaderSettings = LIVE_SETTINGS,
        may_read: Callable[[], bool] = always,
    ) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self.mailbox = Mailbox(1)
        self.opened_at_s: list[float] = []
        self._open_stream = open_stream
        self.reader = CameraReader(
            "door", "rtsp://u:p4ssword@host/x", self._open, self.mailbox, self.metrics, settings, may_read
        )

    def _open(self, _wanted: Wanted) -> Scripted:
        self.opened_at_s.append(time.monotonic())
        return self._open_stream()

    def __enter__(self) -> Bench:
        self.reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.stop()
        self.mailbox.close()
        self.reader.join(2)

    def failures(self) -> dict[str, float]:
        return self.metrics.by_label("agegender_camera_failures_total", "reason")

    def take_all(self) -> list[CapturedFrame]:
        """Everything until the reader has finished."""
        taken: list[CapturedFrame] = []
        while not self.mailbox.exhausted:
            taken += self.mailbox.take(1, 1)
        return taken

    def threads(self) -> int:
        return sum(thread.name == "camera door" for thread in threading.enumerate())


def failing(error: Exception) -> Callable[[], Scripted]:
    def open_stream() -> Scripted:
        raise error

    return open_stream


def test_a_camera_that_keeps_us_waiting_is_told_and_does_not_fail(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    goes_on, began_s = threading.Event(), time.time()

    def slowly() -> Iterator[StreamFrame | Waiting]:
        for _ in range(3):
            yield Waiting(FailureReason.NO_KEYFRAME, "waits for a keyframe")
        goes_on.wait(5)
        yield from frames(2)

    with Bench(lambda: Scripted(slowly())) as bench:
        wait_until(lambda: str(bench.reader.failure) == "waits for a keyframe", 5, "the wait is told")
        assert bench.metrics.total("agegender_camera_up_bool", camera="door") == 0
        notice = bench.reader.notice
        assert notice is not None
        assert began_s <= notice.since_s <= time.time()
        goes_on.set()
        wait_until(lambda: bench.mailbox.take(1, 0.1), 5, "a frame is taken")
        assert bench.failures().keys() <= {"ended"}
    assert [one.message for one in caplog.records].count("camera waits") == 1


def test_a_failing_camera_is_retried_slower_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Bench(failing(REFUSED)) as bench:
        wait_until(lambda: len(bench.opened_at_s) >= 7, 5, "seven tries")
        assert str(bench.reader.failure) == "nothing listens"
    waits_s = [after - before for before, after in pairwise(bench.opened_at_s)]
    for wait_s, base_s in zip(waits_s, (0.01, 0.02, 0.04, 0.08, 0.08, 0.08), strict=False):
        assert base_s / 2 <= wait_s < base_s + 0.5
    assert bench.failures() == {"refused": len(bench.opened_at_s)}
    (said,) = [record for record in caplog.records if record.message == "camera down"]
    assert vars(said)["source"] == "rtsp://***@host/x"
    assert (vars(said)["camera"], vars(said)["reason"]) == ("door", "refused")
    assert vars(said)["again_in_s"] >= 0


def test_a_wrong_password_is_tried_ever_more_seldom() -> None:
    with Bench(failing(WRONG_LOGIN)) as bench:
        wait_until(lambda: len(bench.opened_at_s) >= 6, 5, "six tries")
    waits_s = [after - before for before, after in pairwise(bench.opened_at_s)]
    assert all(
        wait_s >= base_s / 2 for wait_s, base_s in zip(waits_s, (0.02, 0.04, 0.08, 0.16, 0.32), strict=False)
    )


def test_waits_allow_a_quick_return_and_avoid_a_lockout() -> None:
    settings = ReaderSettings(fps=5, when_full=WhenFull.REPLACE, reopens=True)
    backoff, login = settings.backoff(), settings.login_backoff()
    waits_s = [backoff.next_s() for _ in range(50)]
    assert waits_s[0] >= 0.25
    assert all(0.75 <= wait_s <= 1.5 for wait_s in waits_s[4:])
    assert sum(login.next_s() for _ in range(20)) > 300


def test_a_flapping_camera_is_counted_each_time_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with Bench(lambda: Scripted(frames(1))) as bench:
        wait_until(lambda: len(bench.opened_at_s) >= 7, 5, "seven connections")
    waits_s = [after - before for before, after in pairwise(bench.opened_at_s)]
    assert sum(waits_s[3:6]) >= 0.12  # a stream that ends at once does not make the waits short again
    assert bench.failures()["ended"] >= 6
    assert [record.message for record in caplog.records].count("camera down") == 1
    assert [record.message for record in caplog.records].count("camera up") <= 2


def test_after_a_steady_stream_the_first_wait_is_short_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "_STEADY_S", 0)
    settings = replace(LIVE_SETTINGS, backoff=lambda: Backoff(0.01, 60))
    with Bench(lambda: Scripted(frames(1)), settings) as bench:
        # Twelve waits that double would take 20 s at least.
        wait_until(lambda: len(bench.opened_at_s) >= 13, 5, "thirteen connections")


def test_a_camera_that_is_up_has_no_failure_and_new_streams() -> None:
    release = threading.Event()
    tries: list[int] = []

    def open_stream() -> Scripted:
        tries.append(1)
        if len(tries) == 1:
            raise REFUSED
        return Scripted(waiting())

    def waiting() -> Iterator[StreamFrame]:
        yield from frames(3)
        release.wait(5)

    with Bench(open_stream) as bench:
        wait_until(lambda: bench.metrics.total("agegender_camera_up_bool") == 1, 5, "the camera is up")
        assert bench.reader.failure is None
        seen = {bench.mailbox.take(1, 5)[0].stream_id}
        release.set()
        wait_until(lambda: len(tries) > 2, 5, "another connection")

        def other_stream_seen() -> bool:
            seen.update(one.stream_id for one in bench.mailbox.take(1, 0.1))
            return len(seen) > 1

        wait_until(other_stream_seen, 5, "a frame of another stream")
    assert bench.metrics.total("agegender_camera_up_bool") == 0


def test_an_unexpected_error_is_a_failure_like_others(caplog: pytest.LogCaptureFixture) -> None:
    with Bench(lambda: Scripted(frames(2, then=ZeroDivisionError("oh")))) as bench:
        wait_until(lambda: bench.failures().get("not-video", 0) >= 2, 5, "two failures")
        # Between two failures the camera is up for a moment.
        said = "ZeroDivisionError while decoding"
        wait_until(lambda: str(bench.reader.failure) == said, 5, "the failure is told")
    assert any(record.exc_info for record in caplog.records)


def test_captured_is_taken_plus_dropped_whenever_it_stops() -> None:
    with Bench(lambda: Scripted(frames(10_000))) as bench:
        taken = bench.mailbox.take(1, 5)
        wait_until(lambda: bench.metrics.total("agegender_frames_captured_total") > 100, 5, "100 frames")
        bench.reader.stop()
        left = bench.mailbox.close()
        bench.reader.join(5)
    total = bench.metrics.total
    dropped = total("agegender_messages_dropped_total", service="ingest", camera="door")
    assert total("agegender_frames_captured_total") == len(taken) + len(left) + dropped


def test_a_file_is_read_in_order_with_its_bad_pictures() -> None:
    def bad() -> Bgr:
        raise UnreadablePicture("broken")

    def given() -> Iterator[StreamFrame]:
        for number in range(20):
            yield StreamFrame(None, 1.0, "arrival", bad if number == 7 else picture)

    with Bench(lambda: Scripted(given()), FILE_SETTINGS) as bench:
        taken = bench.take_all()
    assert [one.sequence for one in taken] == list(range(20))
    assert len({one.stream_id for one in taken}) == 1
    assert [isinstance(one.picture, UnreadablePicture) for one in taken].index(True) == 7
    assert bench.failures() == {}
    assert len(bench.opened_at_s) == 1
    assert bench.metrics.by_label("agegender_camera_up_bool", "camera") == {}, "no camera that is down"


@pytest.mark.parametrize("error", [REFUSED, ZeroDivisionError("oh")])
def test_a_file_that_fails_is_not_tried_again_and_counts_as_read(error: Exception) -> None:
    with Bench(failing(error), FILE_SETTINGS) as bench:
        assert bench.take_all() == []
        wait_until(lambda: bench.threads() == 0, 5, "the thread ends")
    assert sum(bench.failures().values()) == 1
    assert bench.metrics.by_label("agegender_camera_up_bool", "camera") == {"door": 0}


def test_at_most_three_threads_stuck_in_open_are_replaced(
    caplog: pytest.LogCaptureFixture,
) -> None:
    release = threading.Event()
    opened: list[Scripted] = []

    def hang() -> Scripted:
        if not release.is_set():
            release.wait(20)
            opened.append(Scripted(frames(1)))
            return opened[-1]
        return Scripted(forever())

    def forever() -> Iterator[StreamFrame]:
        while not bench.reader._stop.wait(0.005):
            yield StreamFrame(time.time(), time.time(), "arrival", picture)

    with Bench(hang, replace(LIVE_SETTINGS, hang_s=0.1)) as bench:

        def watched(failures: int) -> bool:
            bench.reader.watch()
            return bench.failures().get("unreachable", 0) >= failures

        wait_until(lambda: watched(6), 5, "the reader is given up on six times")
        assert bench.threads() == 4
        assert len(bench.opened_at_s) == 4
        release.set()
        wait_until(lambda: bench.threads() == 1, 5, "those given up on end")
        # Three of the four were given up on; the last one may go on with what it opened.
        wait_until(lambda: sum(one.closed.is_set() for one in opened) >= 3, 5, "their streams are closed")
        wait_until(lambda: bench.metrics.total("agegender_camera_up_bool") == 1, 5, "the camera is up")
    assert bench.threads() == 0
    assert bench.failures().get("no-frame") is None
    assert [record.message for record in caplog.records].count("camera down") <= 2


def test_a_thread_stuck_in_a_read_is_replaced_and_ignored_later() -> None:
    release = threading.Event()
    streams: list[Scripted] = []

    def stuck() -> Iterator[StreamFrame]:
        yield StreamFrame(0.0, 1.0, "arrival", picture)
        release.wait(20)
        yield from frames(50)

    def alive() -> Iterator[StreamFrame]:
        yield StreamFrame(0.0, 2.0, "arrival", picture)
        while not bench.reader._stop.wait(0.01):
            yield StreamFrame(0.0, 2.0, "arrival", picture)

    def open_stream() -> Scripted:
        streams.append(Scripted(alive() if streams else stuck()))
        return streams[-1]

    with Bench(open_stream, replace(LIVE_SETTINGS, hang_s=0.2)) as bench:
        assert bench.mailbox.take(1, 5)[0].captured_at_s == 1.0

        def watched() -> bool:
            bench.reader.watch()
            return bench.failures().get("no-frame") == 1

        wait_until(watched, 5, "the watchdog notices")
        assert bench.mailbox.take(1, 5)[0].captured_at_s == 2.0
        release.set()
        wait_until(streams[0].closed.is_set, 5, "the thread given up on ends")
        assert bench.mailbox.take(1, 0.1) == []
        assert bench.metrics.total("agegender_frames_captured_total") == 2
        assert bench.reader.failure is None


def test_a_reader_of_a_file_is_never_given_up_on() -> None:
    with Bench(lambda: Scripted(frames(3)), FILE_SETTINGS) as bench:
        wait_until(lambda: bench.metrics.total("agegender_frames_captured_total") == 2, 5, "it waits for us")
        bench.reader._alive_at_s -= 1_000
        bench.reader.watch()
        assert len(bench.take_all()) == 3
    assert bench.failures() == {}


@pytest.mark.parametrize("state", ["waiting for a retry", "streaming", "stuck"])
def test_stopping_is_prompt_in_every_state(state: str) -> None:
    release = threading.Event()

    def endless() -> Iterator[StreamFrame]:
        number = 0
        while True:
            yield StreamFrame(float(number), 1.0, "arrival", picture)
            number += 1
            if state == "stuck":
                release.wait(20)

    slow = replace(LIVE_SETTINGS, backoff=lambda: Backoff(60, 60))
    opener = failing(REFUSED) if state == "waiting for a retry" else lambda: Scripted(endless())
    with Bench(opener, slow) as bench:
        wait_until(lambda: bench.opened_at_s, 5, "it has begun")
        wait_until(lambda: bench.reader.failure or bench.mailbox.take(1, 0.1), 5, f"it is {state}")
        started_s = time.monotonic()
        bench.reader.stop()
        bench.reader.join(0.5)
        assert time.monotonic() - started_s < 5
        assert bench.threads() == (1 if state == "stuck" else 0)
        release.set()
    wait_until(lambda: bench.threads() == 0, 5, "the thread ends")


def test_a_reader_without_permission_closes_and_later_reopens() -> None:
    allowed = threading.Event()
    allowed.set()
    streams: list[Scripted] = []

    def open_stream() -> Scripted:
        streams.append(Scripted(frames(1_000_000)))
        return streams[-1]

    with Bench(open_stream, may_read=allowed.is_set) as bench:
        wait_until(lambda: bench.mailbox.take(1, 0.1), 5, "a frame is taken")
        allowed.clear()
        wait_until(streams[0].closed.is_set, 5, "the stream is closed")
        bench.mailbox.clear()
        captured = bench.metrics.total("agegender_frames_captured_total")
        wait_until(lambda: bench.metrics.total("agegender_camera_up_bool") == 0, 5, "the camera is down")
        assert bench.mailbox.take(1, 0.3) == []
        assert bench.metrics.total("agegender_frames_captured_total") == captured
        assert len(streams) == 1
        allowed.set()
        wait_until(lambda: bench.mailbox.take(1, 0.1), 5, "a frame is taken again")
    assert len(streams) == 2
    assert bench.failures() == {}


def test_a_camera_lost_during_connect_gives_no_frame() -> None:
    allowed = threading.Event()
    allowed.set()

    def open_stream() -> Scripted:
        allowed.clear()
        return stream

    given = frames(5)
    stream = Scripted(given)
    with Bench(open_stream, may_read=allowed.is_set) as bench:
        wait_until(stream.closed.is_set, 5, "the stream is closed")
        assert next(given).time_s == 0
        assert bench.mailbox.take(1, 0.1) == []


def test_a_lost_camera_loses_its_gauges_and_keeps_its_counters() -> None:
    with Bench(lambda: Scripted(frames(3))) as bench:
        wait_until(lambda: bench.mailbox.take(1, 0.1), 5, "a frame is taken")
        bench.reader.stop()
        assert bench.reader.join(2)
        bench.reader.drop_gauges()
        bench.reader.drop_gauges()
    assert bench.metrics.by_label("agegender_camera_up_bool", "camera") == {}
    assert bench.metrics.total("agegender_frames_captured_total", camera="door") > 0
