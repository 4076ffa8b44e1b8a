"""The places between the readers and the pipeline: what is kept, what is lost, who waits."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from agegender.services.ingest.mailbox import Slots, WhenFull
from agegender.services.ingest.sources.stream import Captured
from tests.support.waiting import wait_until


def captured(camera: str, sequence: int) -> Captured:
    return Captured(camera, "0", sequence, 0.0, "arrival", np.zeros((1, 1, 3), np.uint8))


def taken(slots: Slots, most: int = 9, timeout_s: float = 0.0) -> list[tuple[str, int]]:
    return [(one.camera_id, one.sequence) for one in slots.take(most, timeout_s)]


def test_a_live_camera_keeps_its_newest_frame_and_the_older_is_given_back() -> None:
    slots = Slots(1)
    assert slots.put(captured("a", 0), WhenFull.REPLACE) is None
    lost = slots.put(captured("a", 1), WhenFull.REPLACE)
    assert lost is not None
    assert lost.sequence == 0
    assert taken(slots) == [("a", 1)]
    assert taken(slots) == []


def test_the_frame_that_waits_longest_goes_first_so_that_no_camera_starves() -> None:
    slots = Slots(3)
    for camera, sequence in (("a", 0), ("b", 0), ("c", 0), ("a", 1)):
        slots.put(captured(camera, sequence), WhenFull.REPLACE)
    assert taken(slots, most=2) == [("b", 0), ("c", 0)]
    assert taken(slots, most=2) == [("a", 1)]


def test_the_reader_of_a_file_waits_until_its_frame_is_taken() -> None:
    slots = Slots(1)
    with ThreadPoolExecutor(1) as pool:
        work = [pool.submit(slots.put, captured("a", n), WhenFull.WAIT) for n in range(3)]
        assert taken(slots, timeout_s=5) == [("a", 0)]
        assert taken(slots, timeout_s=5) == [("a", 1)]
        assert taken(slots, timeout_s=5) == [("a", 2)]
        assert [one.result(5) for one in work] == [None, None, None]


def test_taking_waits_for_a_frame_and_no_longer_than_told() -> None:
    slots = Slots(1)
    started_s = time.monotonic()
    assert taken(slots, timeout_s=0.05) == []
    assert 0.04 < time.monotonic() - started_s < 5
    threading.Timer(0.05, slots.put, (captured("a", 7), WhenFull.REPLACE)).start()
    assert taken(slots, timeout_s=5) == [("a", 7)]


def test_taking_does_not_wait_once_all_readers_have_finished() -> None:
    slots = Slots(2)
    slots.put(captured("a", 0), WhenFull.WAIT)
    slots.finished()
    threading.Timer(0.05, slots.finished).start()
    assert not slots.exhausted
    assert taken(slots) == [("a", 0)]
    started_s = time.monotonic()
    assert taken(slots, timeout_s=10) == []
    assert time.monotonic() - started_s < 5
    assert slots.exhausted


def test_closing_gives_back_what_nobody_took_and_frees_a_reader_that_waits() -> None:
    slots = Slots(1)
    slots.put(captured("a", 0), WhenFull.WAIT)
    returned: list[Captured | None] = []
    reader = threading.Thread(target=lambda: returned.append(slots.put(captured("a", 1), WhenFull.WAIT)))
    reader.start()
    assert [one.sequence for one in slots.close()] == [0]
    wait_until(lambda: returned, 5, "the reader goes on")
    reader.join()
    assert returned[0] is not None
    assert returned[0].sequence == 1
    late = captured("a", 2)
    assert slots.put(late, WhenFull.REPLACE) is late


def test_where_cameras_come_and_go_no_frame_is_the_last_and_taking_waits() -> None:
    slots = Slots(None)
    slots.finished()
    assert not slots.exhausted
    started_s = time.monotonic()
    assert taken(slots, timeout_s=0.05) == []
    assert time.monotonic() - started_s > 0.04
    assert not slots.exhausted


def test_the_place_of_one_camera_is_cleared_and_the_others_stay() -> None:
    slots = Slots(None)
    for camera in ("a", "b"):
        slots.put(captured(camera, 0), WhenFull.REPLACE)
    assert [one.camera_id for one in slots.clear(["a", "unknown"])] == ["a"]
    assert taken(slots) == [("b", 0)]


def test_cameras_on_hold_keep_their_frames_and_the_others_go_on() -> None:
    slots = Slots(2)
    for camera in ("a", "b"):
        slots.put(captured(camera, 0), WhenFull.WAIT)
    slots.hold({"a"})
    assert slots.is_on_hold("a")
    assert taken(slots) == [("b", 0)]
    assert taken(slots) == []
    slots.finished()
    slots.finished()
    assert not slots.exhausted
    slots.hold(())
    assert taken(slots) == [("a", 0)]
    assert slots.exhausted


def test_whoever_waits_for_a_frame_has_it_as_soon_as_its_camera_is_released() -> None:
    slots = Slots(1)
    slots.hold({"a"})
    slots.put(captured("a", 0), WhenFull.WAIT)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(taken, slots, timeout_s=10)
        slots.hold(())
        assert waiting.result(5) == [("a", 0)]
