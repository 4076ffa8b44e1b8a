"""The buffer keeps the newest frames of live cameras, and all frames of complete ones."""

from __future__ import annotations

from agegender.services.ingest.publish.backpressure import NO_ROOM, Room
from agegender.services.ingest.publish.buffer import FrameBuffer
from agegender.shared.messages.pipeline import Frame, Mode
from tests.support.made_messages import frame_info

KILO = bytes(1_000)


def frame(sequence: int, camera: str = "door", mode: Mode = "live", jpeg: bytes = KILO) -> Frame:
    info = frame_info(camera, sequence=sequence).model_copy(update={"mode": mode})
    return Frame(info=info, jpeg=jpeg)


def filled(bytes_per_camera: int, *frames: Frame) -> tuple[FrameBuffer, list[int]]:
    """A buffer with these frames, and the numbers of the frames that were pushed out."""
    buffer = FrameBuffer(bytes_per_camera)
    return buffer, [old.info.sequence for one in frames for old in buffer.put(one)]


def names(frames: list[Frame]) -> list[tuple[str, int]]:
    return [(one.camera_id, one.info.sequence) for one in frames]


def test_the_newest_frames_of_a_live_camera_are_kept_in_order() -> None:
    buffer, pushed_out = filled(3_000, *(frame(n) for n in range(10)))
    assert pushed_out == list(range(7))
    assert buffer.numbers == {"door": 3}
    assert names(buffer.take(10, NO_ROOM)) == [("door", 7), ("door", 8), ("door", 9)]
    assert buffer.take(10, NO_ROOM) == []
    assert buffer.numbers == {}


def test_a_complete_camera_loses_nothing_and_is_reported_full() -> None:
    buffer, pushed_out = filled(3_000, *(frame(n, mode="complete") for n in range(2)))
    assert buffer.full == frozenset()
    buffer.put(frame(2, mode="complete"))
    assert buffer.full == {"door"}
    assert [*pushed_out, *buffer.put(frame(3, mode="complete"))] == []
    buffer.take(2, Room(2, 2))
    assert buffer.full == frozenset()
    assert names(buffer.take(9, Room(9, 9))) == [("door", 2), ("door", 3)]


def test_one_camera_never_takes_the_place_of_another() -> None:
    buffer, pushed_out = filled(2_000, frame(0, "hall"), *(frame(n) for n in range(5)))
    assert pushed_out == [0, 1, 2]
    assert buffer.numbers == {"hall": 1, "door": 2}


def test_a_frame_over_the_limit_is_kept_alone() -> None:
    buffer, pushed_out = filled(0, frame(0), frame(1, jpeg=KILO * 50))
    assert pushed_out == [0]
    assert names(buffer.take(9, NO_ROOM)) == [("door", 1)]


def test_cameras_take_turns_also_over_several_takes() -> None:
    buffer, _ = filled(9_000, *(frame(n, camera) for camera in ("a", "b", "c") for n in range(3)))
    assert names(buffer.take(4, NO_ROOM)) == [("a", 0), ("b", 0), ("c", 0), ("a", 1)]
    assert names(buffer.take(2, NO_ROOM)) == [("b", 1), ("c", 1)]
    assert names(buffer.take(9, NO_ROOM)) == [("a", 2), ("b", 2), ("c", 2)]


def test_complete_frames_need_room_and_never_delay_live_ones() -> None:
    frames = [made for n in range(4) for made in (frame(n, "file", "complete"), frame(n))]
    buffer, _ = filled(9_000, *frames)
    assert (buffer.has_complete, buffer.has_next(NO_ROOM)) == (True, True)
    assert names(buffer.take(9, Room(1, 1))) == [
        ("file", 0),
        ("door", 0),
        ("door", 1),
        ("door", 2),
        ("door", 3),
    ]
    assert (buffer.has_complete, buffer.has_next(NO_ROOM)) == (True, False)
    assert buffer.take(9, NO_ROOM) == []
    assert names(buffer.take(9, Room(2, 2))) == [("file", 1), ("file", 2)]


def test_files_wait_where_complete_cameras_may_go_on() -> None:
    frames = [frame(n, "camera", "complete") for n in range(2)]
    for n in range(2):
        info = frame(n, "file", "complete").info.model_copy(update={"file": "monday.mp4"})
        frames.append(Frame(info=info, jpeg=KILO))
    buffer, _ = filled(9_000, *frames)
    assert names(buffer.take(9, Room(5, 0))) == [("camera", 0), ("camera", 1)]
    assert not buffer.has_next(Room(5, 0))
    assert names(buffer.take(9, Room(5, 1))) == [("file", 0)]


def test_what_waits_of_some_cameras_or_of_all_can_be_taken_out() -> None:
    buffer, _ = filled(9_000, *(frame(n, camera) for camera in ("a", "b", "c") for n in range(2)))
    assert names(buffer.clear(["b", "unknown"])) == [("b", 0), ("b", 1)]
    assert buffer.numbers == {"a": 2, "c": 2}
    assert len(buffer.clear()) == 4
    assert buffer.numbers == {}
