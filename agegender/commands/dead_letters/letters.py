"""Dead letters as they are stored in their topic: what they say, and whether they were replayed.

A replay writes a note to the same topic: an empty message that names the position of the letter. So the note
is kept as long as the letter, and every command sees it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from agegender.shared.kafka.topics import DEAD_LETTERS_NAME
from agegender.shared.messages.codec import Encoded
from agegender.shared.messages.pipeline import CAMERA_ID_PATTERN
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.dead_letters import (
    ABOUT_HEADERS,
    ORIGIN_HEADER,
    REASON_HEADER,
    SERVICE_HEADER,
    VALUE_BYTES_HEADER,
)

if TYPE_CHECKING:
    from agegender.shared.kafka.reader import KafkaReader, StoredMessage

REPLAYED_HEADER = "dead-letter.replayed"
"""Header of a note: the position of the letter that was replayed."""
REPLAY_OF_HEADER = "dead-letter.replay-of"
"""Header of a replayed message: the position of its letter."""

_ORIGIN = re.compile(r"(?P<topic>[A-Za-z0-9._-]{1,249})/(?P<partition>\d{1,9})@(?P<offset>\d{1,18})")


@dataclass(frozen=True, slots=True)
class MessagePosition:
    """The position of a message in Kafka."""

    topic: str
    """With the prefix."""
    partition: int
    offset: int

    @classmethod
    def parse(cls, origin: str) -> Self | None:
        """The position that `topic/partition@offset` describes; None for any other text."""
        found = _ORIGIN.fullmatch(origin)
        return None if found is None else cls(found["topic"], int(found["partition"]), int(found["offset"]))


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter."""

    position: str
    """The position of the letter: `topic/partition@offset`."""
    written_at_s: float
    reason: str
    service: str
    origin: str
    value_bytes: int
    """The size of the value of the bad message. The letter may not carry it."""
    message: Encoded
    """The bad message as it was received, or the part of it that the letter carries."""
    replayed: bool = False

    @classmethod
    def of(cls, record: StoredMessage) -> Self | None:
        """The letter in a record of the topic; None if the record is no letter."""
        headers = record.encoded.headers
        if tuple(name for name, _ in headers[: len(ABOUT_HEADERS)]) != ABOUT_HEADERS:
            return None
        about = {name: data.decode(errors="replace") for name, data in headers[: len(ABOUT_HEADERS)]}
        size = about[VALUE_BYTES_HEADER]
        return cls(
            position=record.origin,
            written_at_s=record.appended_at_s,
            reason=about[REASON_HEADER],
            service=about[SERVICE_HEADER],
            origin=about[ORIGIN_HEADER],
            value_bytes=int(size) if size.isdecimal() else 0,
            message=record.encoded._replace(headers=headers[len(ABOUT_HEADERS) :]),
        )

    @property
    def origin_position(self) -> MessagePosition | None:
        """The position of the bad message; None if it came from no topic."""
        return MessagePosition.parse(self.origin)

    @property
    def camera_id(self) -> str | None:
        """The camera in the key of the message; None if there is none."""
        return camera_of(self.message.key)

    @property
    def carries_message(self) -> bool:
        """Whether the letter holds all of the bad message."""
        if self.value_bytes == 0:
            # A letter on a message that was too large carries neither headers nor value.
            return bool(self.message.headers)
        return len(self.message.value) == self.value_bytes


def camera_of(key: bytes) -> str | None:
    """The camera at the start of the key of a message; None if the key has another form."""
    camera = key.decode(errors="replace").split("/")[0]
    return camera if re.fullmatch(CAMERA_ID_PATTERN, camera) else None


def note_of_replay(letter: Letter) -> Encoded:
    """The note that is written to the topic of the letters after a replay."""
    return Encoded(letter.message.key, b"", ((REPLAYED_HEADER, letter.position.encode()),))


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Which letters are selected; None selects all."""

    service: str | None = None
    reason: str | None = None
    """A part of the reason; case does not matter."""
    topic: str | None = None
    """The topic of the bad message, without the prefix."""
    camera: str | None = None
    since_s: float | None = None

    def test(self, kafka: KafkaSettings) -> Callable[[Letter], bool]:
        """A function that tells whether a letter is selected. `kafka` gives the prefix of topics."""

        def is_selected(letter: Letter) -> bool:
            origin = letter.origin_position
            read_in = None if origin is None else origin.topic
            return (
                (self.service is None or letter.service == self.service)
                and (self.reason is None or self.reason.casefold() in letter.reason.casefold())
                and (self.topic is None or read_in == kafka.topic_prefix + self.topic)
                and (self.camera is None or letter.camera_id == self.camera)
                and (self.since_s is None or letter.written_at_s >= self.since_s)
            )

        return is_selected


def letters_in(records: Iterable[StoredMessage]) -> Sequence[Letter]:
    """The letters in the records of the topic, the oldest first, marked if they were replayed."""
    found: list[Letter] = []
    replayed: set[str] = set()
    for record in records:
        note = dict(record.encoded.headers).get(REPLAYED_HEADER)
        if note is not None:
            replayed.add(note.decode(errors="replace"))
        elif (letter := Letter.of(record)) is not None:
            found.append(letter)
    marked = [replace(one, replayed=one.position in replayed) for one in found]
    return sorted(marked, key=lambda letter: letter.written_at_s)


def read_letters(reader: KafkaReader, kafka: KafkaSettings, since_s: float | None = None) -> Sequence[Letter]:
    """All letters in the topic that were written since `since_s`, the oldest first.

    Raises:
        NotNow: Kafka is away.
    """
    topic = kafka.topic_prefix + DEAD_LETTERS_NAME
    begins = reader.begins(topic) if since_s is None else reader.since(topic, since_s)
    return letters_in(reader.read(topic, begins, reader.ends(topic)))
