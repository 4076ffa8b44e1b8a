"""Gaps in the offsets of a partition are counted by camera."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender.shared.errors import BadMessage
from agegender.shared.kafka.deleted import UNKNOWN_CAMERA, DeletedMessages, divide
from agegender.shared.messages.pipeline import Frame
from tests.support.made_messages import JPEG, face, face_info, frame_info


class _Partition(NamedTuple):
    topic: str
    partition: int


PARTITION = _Partition("frames", 3)


@dataclass
class _Reader:
    """Reads one partition, and knows what was counted."""

    counted: Counter[str] = field(default_factory=Counter)
    now_s: float = 0.0

    def __post_init__(self) -> None:
        self.deleted = DeletedMessages(self._count, monotonic=lambda: self.now_s)

    def _count(self, camera: str, number: int) -> None:
        self.counted[camera] += number

    def read(self, offset: int, camera: str, sequence: int, stream: str = "s1") -> None:
        frame = Frame(info=frame_info(camera, stream, sequence), jpeg=JPEG)
        self.deleted.read(PARTITION, offset, frame)
        self.commit(offset + 1)

    def commit(self, position: int) -> None:
        self.deleted.committed({PARTITION: position})
        self.deleted.settle()


def started(note: str = "", offset: int | None = 0) -> _Reader:
    reader = _Reader()
    reader.deleted.begin(PARTITION, offset, note)
    return reader


def note_of_two_cameras() -> str:
    """At offset 20, after ten frames of each."""
    reader = started()
    for number in range(10):
        reader.read(2 * number, "door", number)
        reader.read(2 * number + 1, "hall", number)
    assert reader.counted == {}
    return reader.deleted.note(PARTITION)


def test_a_gap_is_counted_by_camera_also_by_another_worker() -> None:
    reader = started(note_of_two_cameras(), 20)
    reader.read(260, "door", 150)
    assert reader.counted == {}, "hall has not told its part yet"
    reader.read(261, "hall", 110)
    assert reader.counted == {"door": 140, "hall": 100}


def test_a_gap_before_a_lost_partition_is_counted_by_the_next() -> None:
    """The first worker lost the partition before it had committed, so the next one starts before the gap."""
    first, next_one = (started(note_of_two_cameras(), 20) for _ in range(2))
    frame = Frame(info=frame_info("door", "s1", 150), jpeg=JPEG)
    first.deleted.read(PARTITION, 260, frame)
    first.deleted.keep(())
    next_one.read(260, "door", 150)
    next_one.read(261, "hall", 110)
    assert first.counted + next_one.counted == {"door": 140, "hall": 100}


def test_a_gap_is_counted_with_the_commit_behind_it() -> None:
    reader = started(note_of_two_cameras(), 20)
    reader.deleted.read(PARTITION, 25, Frame(info=frame_info("door", "s1", 15), jpeg=JPEG))
    reader.commit(25)
    reader.deleted.keep([PARTITION])
    assert reader.counted == {}
    reader.commit(26)
    reader.deleted.keep(())
    assert reader.counted == {"door": 5}


def test_frames_dropped_by_ingest_do_not_count_as_deleted() -> None:
    """Ingest dropped ten frames of each camera, which never were in the topic."""
    reader = started(note_of_two_cameras(), 20)
    reader.read(220, "door", 120)
    reader.read(221, "hall", 120)
    assert reader.counted == {"door": 100, "hall": 100}


def test_a_camera_that_is_gone_gets_the_rest() -> None:
    reader = started(note_of_two_cameras(), 20)
    reader.read(120, "door", 70)
    reader.now_s = 11.0
    reader.read(121, "door", 71)
    assert reader.counted == {"door": 60, "hall": 40}


def test_a_camera_with_another_stream_gets_the_rest() -> None:
    reader = started(note_of_two_cameras(), 20)
    reader.read(120, "door", 70)
    reader.read(121, "hall", 15, stream="s2")
    assert reader.counted == {"door": 60, "hall": 40}


def test_messages_of_unknown_cameras_are_counted() -> None:
    reader = started("", 20)
    reader.deleted.read(PARTITION, 25, BadMessage("no message of ours"))
    reader.commit(26)
    reader.deleted.keep(())
    assert reader.counted == {UNKNOWN_CAMERA: 5}


def test_a_group_without_a_position_misses_nothing() -> None:
    reader = started("", None)
    reader.read(500, "door", 400)
    reader.read(501, "door", 401)
    reader.deleted.keep(())
    assert reader.counted == {}


def test_a_message_that_comes_again_is_no_gap() -> None:
    reader = started()
    for offset in (0, 1, 0, 1, 2):
        reader.read(offset, "door", offset)
    assert reader.counted == {}


def test_several_faces_of_a_frame_are_no_gap() -> None:
    reader = started()
    for offset in range(4):
        info = face_info(frame_info("door", sequence=offset // 2), offset % 2, 2)
        reader.deleted.read(PARTITION, offset, face(info))
    reader.deleted.keep(())
    assert reader.counted == {}


def test_a_note_fits_into_a_commit() -> None:
    reader = started()
    for number in range(300):
        reader.read(number, f"camera-number-{number}", 10_000)
    note = reader.deleted.note(PARTITION)
    assert len(note) <= 4_096
    assert "camera-number-299" in note, "the cameras that were read last stay"


@pytest.mark.parametrize("note", ["x", "[]", '{"door": 1}', '{"door": ["s", "x"]}', "3"])
def test_a_note_of_another_program_is_ignored(note: str) -> None:
    reader = started(note, 3)
    reader.read(8, "door", 8)
    reader.deleted.keep(())
    assert reader.counted == {"door": 5}


@given(
    st.integers(1, 1_000_000),
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 10_000), max_size=6),
    st.sets(st.sampled_from("abcdefgh")),
)
def test_the_parts_add_up(deleted: int, missing: dict[str, int], open_ended: set[str]) -> None:
    parts = divide(deleted, missing, open_ended)
    assert sum(parts.values()) == deleted
    assert all(number > 0 for number in parts.values())
