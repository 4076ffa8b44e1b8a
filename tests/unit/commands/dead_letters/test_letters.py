"""What a dead letter says of itself, and which letters are meant."""

from __future__ import annotations

import pytest

from agegender.commands.dead_letters.letters import (
    Letter,
    LetterFilter,
    MessagePosition,
    camera_of,
    letters_in,
    note_of_replay,
)
from agegender.shared.kafka.reader import StoredMessage
from agegender.shared.messages.codec import MAX_MESSAGE_BYTES, Encoded
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.dead_letters import DeadLetter

KAFKA = KafkaSettings(topic_prefix="test-")
BAD = Encoded(b"door/7", b"not ours", (("schema", b"face/9"), ("trace", b"\xff")))


def record(encoded: Encoded, offset: int = 0, at_s: float = 100.0) -> StoredMessage:
    return StoredMessage("test-dead-letters", 1, offset, at_s, encoded)


def letter(
    bad: Encoded = BAD, *, keep_value: bool = False, reason: str = "Too dark", offset: int = 0
) -> Letter:
    written = DeadLetter(reason, "classify", "test-faces/3@17", bad).encoded(keep_value=keep_value)
    found = Letter.of(record(written, offset))
    assert found is not None
    return found


def test_a_letter_is_read_as_it_was_written() -> None:
    one = letter()
    assert (one.reason, one.service, one.origin) == ("Too dark", "classify", "test-faces/3@17")
    assert (one.value_bytes, one.camera_id, one.position) == (8, "door", "test-dead-letters/1@0")
    assert one.origin_position == MessagePosition("test-faces", 3, 17)
    assert one.message == BAD._replace(value=b"")
    assert not one.carries_message
    assert letter(keep_value=True).message == BAD
    assert letter(keep_value=True).carries_message


def test_a_message_without_a_value_is_carried_unless_it_was_cut() -> None:
    assert letter(BAD._replace(value=b"")).carries_message
    large = BAD._replace(value=b"", headers=(("junk", b"x" * MAX_MESSAGE_BYTES),))
    assert not letter(large).carries_message


def test_what_is_no_letter_is_left_out() -> None:
    assert Letter.of(record(BAD)) is None
    assert Letter.of(record(Encoded(b"", b"", ()))) is None
    assert letters_in([record(BAD)]) == []


def test_letters_are_sorted_by_time_and_marked_when_replayed() -> None:
    written = DeadLetter("r", "detect", "test-frames/0@1", BAD).encoded(keep_value=False)
    later, earlier = record(written, 5, at_s=200.0), record(written, 6, at_s=150.0)
    first = Letter.of(earlier)
    assert first is not None
    found = letters_in([later, earlier, record(note_of_replay(first), 7, at_s=300.0)])
    assert [(one.written_at_s, one.replayed) for one in found] == [(150.0, True), (200.0, False)]


@pytest.mark.parametrize("key", [b"", b"\xff\xfe", b"-door", b"a b", b"x" * 65])
def test_a_key_of_somebody_else_names_no_camera(key: bytes) -> None:
    assert camera_of(key) is None


@pytest.mark.parametrize("origin", ["door/s1@7", "faces/3", "faces@3", "", "a b/1@1", "faces/1@1@1"])
def test_what_is_no_place_in_a_topic_is_none(origin: str) -> None:
    assert MessagePosition.parse(origin) is None


@pytest.mark.parametrize(
    "choice",
    [
        LetterFilter(),
        LetterFilter(service="classify", reason="DARK", topic="faces", camera="door", since_s=100.0),
    ],
)
def test_a_letter_is_meant_that_fits_in_all_respects(choice: LetterFilter) -> None:
    assert choice.test(KAFKA)(letter())


@pytest.mark.parametrize(
    "choice",
    [
        LetterFilter(service="detect"),
        LetterFilter(reason="bright"),
        LetterFilter(topic="frames"),
        LetterFilter(topic="test-faces"),
        LetterFilter(camera="doo"),
        LetterFilter(since_s=100.5),
    ],
)
def test_a_letter_that_differs_in_one_respect_is_not_meant(choice: LetterFilter) -> None:
    assert not choice.test(KAFKA)(letter())
