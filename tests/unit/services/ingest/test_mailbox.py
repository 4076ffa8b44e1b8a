"""The mailbox between the readers and the pipeline: which frames are kept, dropped and waited for."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from agegender.services.ingest.mailbox import Mailbox, WhenFull
from agegender.services.ingest.sources.stream import CapturedFrame
from tests.support.waiting import wait_until


def captured(camera: str, sequence: int) -> CapturedFrame:
    return CapturedFrame(camera, "0", sequence, 0.0, "arrival", np.zeros((1, 1, 3), np.uint8))


def taken(mailbox: Mailbox, most: int = 9, timeout_s: float = 0.0) -> list[tuple[str, int]]:
    return [(one.camera_id, one.sequence) for one in mailbox.take(most, timeout_s)]


def test_a_live_camera_keeps_its_newest_frame() -> None:
    mailbox = Mailbox(1)
    assert mailbox.put(captured("a", 0), WhenFull.REPLACE) is None
    lost = mailbox.put(captured("a", 1), WhenFull.REPLACE)
    assert lost is not None
    assert lost.sequence == 0
    assert taken(mailbox) == [("a", 1)]
    assert taken(mailbox) == []


def test_a_newer_frame_keeps_the_turn_of_its_camera() -> None:
    mailbox = Mailbox(3)
    for camera, sequence in (("a", 0), ("b", 0), ("c", 0), ("a", 1)):
        mailbox.put(captured(camera, sequence), WhenFull.REPLACE)
    assert taken(mailbox, most=2) == [("a", 1), ("b", 0)]
    mailbox.put(captured("a", 2), WhenFull.REPLACE)
    assert taken(mailbox, most=2) == [("c", 0), ("a", 2)]


def test_a_slow_taker_takes_from_all_cameras_equally() -> None:
    """One frame is taken while each camera gives four: every camera is thinned to the same even rate."""
    mailbox, seen = Mailbox(3), {name: list[int]() for name in "abc"}
    for step in range(120):
        for name in "abc":
            mailbox.put(captured(name, step), WhenFull.REPLACE)
        if step % 4 == 3:
            ((name, sequence),) = taken(mailbox, most=1)
            seen[name].append(sequence)
    assert {name: len(some) for name, some in seen.items()} == {"a": 10, "b": 10, "c": 10}
    gaps = {after - before for some in seen.values() for before, after in pairwise(some)}
    assert gaps == {12}


def test_files_come_after_all_live_cameras() -> None:
    mailbox = Mailbox(3)
    mailbox.put(captured("file", 0), WhenFull.WAIT)
    for camera in ("a", "b"):
        mailbox.put(captured(camera, 0), WhenFull.REPLACE)
    assert taken(mailbox, most=1) == [("a", 0)]
    mailbox.put(captured("a", 1), WhenFull.REPLACE)
    assert taken(mailbox, most=2) == [("b", 0), ("a", 1)]
    assert taken(mailbox, most=2) == [("file", 0)]


class TestInterval:
    """Two live cameras give five frames a second, and a file waits."""

    def setup_method(self) -> None:
        self.now_s = 100.0
        self.interval_s = {"a": 0.0, "b": 0.0, "file": 0.0}
        self.mailbox = Mailbox(3, self.interval_s.__getitem__, monotonic=lambda: self.now_s)
        self.seen: list[tuple[str, float]] = []

    def _run(self, seconds: float) -> None:
        for _ in range(round(seconds * 5)):
            self.now_s = round(self.now_s + 0.2, 6)
            for camera in ("a", "b"):
                self.mailbox.put(captured(camera, 0), WhenFull.REPLACE)
            self.seen += [(one.camera_id, self.now_s) for one in self.mailbox.take(9, 0.0)]

    def _times_s(self, camera: str) -> list[float]:
        return [at_s for name, at_s in self.seen if name == camera]

    def test_a_camera_is_taken_at_its_interval_on_average(self) -> None:
        self.interval_s["a"] = 0.7
        self._run(70)
        assert len(self._times_s("a")) == 100
        assert len(self._times_s("b")) == 350
        gaps_s = {round(after - before, 3) for before, after in pairwise(self._times_s("a"))}
        assert gaps_s == {0.6, 0.8}

    def test_a_camera_that_was_away_is_not_taken_in_a_burst(self) -> None:
        self.interval_s["a"] = 1.0
        self._run(3)
        self.now_s += 60
        self.seen.clear()
        self._run(3)
        assert len(self._times_s("a")) == 3

    def test_a_file_has_no_interval(self) -> None:
        self.interval_s |= {"a": 10.0, "b": 10.0, "file": 10.0}
        self._run(1)
        for number in range(3):
            self.mailbox.put(captured("file", number), WhenFull.WAIT)
            assert taken(self.mailbox) == [("file", number)]

    def test_taking_waits_until_the_interval_is_over(self) -> None:
        mailbox = Mailbox(1, lambda _: 0.05)
        for number in range(2):
            mailbox.put(captured("a", number), WhenFull.REPLACE)
            assert taken(mailbox, timeout_s=5) == [("a", number)]
        mailbox.put(captured("a", 2), WhenFull.REPLACE)
        assert taken(mailbox) == []


def test_the_reader_of_a_file_waits_until_its_frame_is_taken() -> None:
    mailbox = Mailbox(1)
    with ThreadPoolExecutor(1) as pool:
        work = [pool.submit(mailbox.put, captured("a", n), WhenFull.WAIT) for n in range(3)]
        assert taken(mailbox, timeout_s=5) == [("a", 0)]
        assert taken(mailbox, timeout_s=5) == [("a", 1)]
        assert taken(mailbox, timeout_s=5) == [("a", 2)]
        assert [one.result(5) for one in work] == [None, None, None]


def test_taking_waits_for_a_frame_and_no_longer_than_told() -> None:
    mailbox = Mailbox(1)
    started_s = time.monotonic()
    assert taken(mailbox, timeout_s=0.05) == []
    assert 0.04 < time.monotonic() - started_s < 5
    threading.Timer(0.05, mailbox.put, (captured("a", 7), WhenFull.REPLACE)).start()
    assert taken(mailbox, timeout_s=5) == [("a", 7)]


def test_taking_does_not_wait_once_all_readers_have_finished() -> None:
    mailbox = Mailbox(2)
    mailbox.put(captured("a", 0), WhenFull.WAIT)
    mailbox.finished()
    threading.Timer(0.05, mailbox.finished).start()
    assert not mailbox.exhausted
    assert taken(mailbox) == [("a", 0)]
    started_s = time.monotonic()
    assert taken(mailbox, timeout_s=10) == []
    assert time.monotonic() - started_s < 5
    assert mailbox.exhausted


def test_close_returns_frames_left_and_frees_a_waiting_reader() -> None:
    mailbox = Mailbox(1)
    mailbox.put(captured("a", 0), WhenFull.WAIT)
    returned: list[CapturedFrame | None] = []
    reader = threading.Thread(target=lambda: returned.append(mailbox.put(captured("a", 1), WhenFull.WAIT)))
    reader.start()
    assert [one.sequence for one in mailbox.close()] == [0]
    wait_until(lambda: returned, 5, "the reader goes on")
    reader.join()
    assert returned[0] is not None
    assert returned[0].sequence == 1
    late = captured("a", 2)
    assert mailbox.put(late, WhenFull.REPLACE) is late


def test_with_changing_cameras_there_is_no_last_frame() -> None:
    mailbox = Mailbox(None)
    mailbox.finished()
    assert not mailbox.exhausted
    started_s = time.monotonic()
    assert taken(mailbox, timeout_s=0.05) == []
    assert time.monotonic() - started_s > 0.04
    assert not mailbox.exhausted


def test_the_place_of_one_camera_is_cleared_and_the_others_stay() -> None:
    mailbox = Mailbox(None)
    for camera in ("a", "b"):
        mailbox.put(captured(camera, 0), WhenFull.REPLACE)
    assert [one.camera_id for one in mailbox.clear(["a", "unknown"])] == ["a"]
    assert taken(mailbox) == [("b", 0)]


def test_cameras_on_hold_keep_their_frames_and_the_others_go_on() -> None:
    mailbox = Mailbox(2)
    for camera in ("a", "b"):
        mailbox.put(captured(camera, 0), WhenFull.WAIT)
    mailbox.hold({"a"})
    assert mailbox.is_on_hold("a")
    assert taken(mailbox) == [("b", 0)]
    assert taken(mailbox) == []
    mailbox.finished()
    mailbox.finished()
    assert not mailbox.exhausted
    mailbox.hold(())
    assert taken(mailbox) == [("a", 0)]
    assert mailbox.exhausted


def test_a_waiting_take_returns_when_its_camera_is_released() -> None:
    mailbox = Mailbox(1)
    mailbox.hold({"a"})
    mailbox.put(captured("a", 0), WhenFull.WAIT)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(taken, mailbox, timeout_s=10)
        mailbox.hold(())
        assert waiting.result(5) == [("a", 0)]
