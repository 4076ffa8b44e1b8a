"""Dead letters as they lie in their topic: what they say, and whether they were replayed.

That a letter was replayed is noted in the same topic, by a message that names the letter's place and carries
nothing else. So the note lives as long as the letter, whoever replays.
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
"""On a note in the topic of the letters: the place of the letter that was replayed."""
REPLAY_OF_HEADER = "dead-letter.replay-of"
"""On a replayed message: the place of its letter."""

_ORIGIN = re.compile(r"(?P<topic>[A-Za-z0-9._-]{1,249})/(?P<partition>\d{1,9})@(?P<offset>\d{1,18})")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message lies or lay."""

    topic: str
    """With the prefix."""
    partition: int
    offset: int

    @classmethod
    def parse(cls, origin: str) -> Self | None:
        """The place that `topic/partition@offset` names; None where the text is none."""
        found = _ORIGIN.fullmatch(origin)
        return None if found is None else cls(found["topic"], int(found["partition"]), int(found["offset"]))


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter."""

    place: str
    """Where the letter lies: `topic/partition@offset`."""
    written_at_s: float
    reason: str
    service: str
    origin: str
    value_bytes: int
    """How large the value of the bad message was, which the letter may not carry."""
    message: Encoded
    """The bad message as received, as far as the letter carries it."""
    replayed: bool = False

    @classmethod
    def of(cls, record: StoredMessage) -> Self | None:
        """The letter in a record of the topic; None where it holds something else."""
        headers = record.encoded.headers
        if tuple(name for name, _ in headers[: len(ABOUT_HEADERS)]) != ABOUT_HEADERS:
            return None
        about = {name: data.decode(errors="replace") for name, data in headers[: len(ABOUT_HEADERS)]}
        size = about[VALUE_BYTES_HEADER]
        return cls(
            place=record.origin,
            written_at_s=record.appended_at_s,
            reason=about[REASON_HEADER],
            service=about[SERVICE_HEADER],
            origin=about[ORIGIN_HEADER],
            value_bytes=int(size) if size.isdecimal() else 0,
            message=record.encoded._replace(headers=headers[len(ABOUT_HEADERS) :]),
        )

    @property
    def origin_place(self) -> Place | None:
        """Where the bad message lay; None where it came from no topic."""
        return Place.parse(self.origin)

    @property
    def camera_id(self) -> str | None:
        """The camera that the message's key names; None where it names none."""
        return camera_of(self.message.key)

    @property
    def carries_message(self) -> bool:
        """Whether the letter holds all of the bad message."""
        if self.value_bytes == 0:
            # Of a message that was too large as a whole, the letter has neither.
            return bool(self.message.headers)
        return len(self.message.value) == self.value_bytes


def camera_of(key: bytes) -> str | None:
    """The camera that the key of a message begins with; None where it is no key of ours."""
    camera = key.decode(errors="replace").split("/")[0]
    return camera if re.fullmatch(CAMERA_ID_PATTERN, camera) else None


def note_of_replay(letter: Letter) -> Encoded:
    """What is written to the topic of the letters once a letter was replayed."""
    return Encoded(letter.message.key, b"", ((REPLAYED_HEADER, letter.place.encode()),))


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters are meant; None chooses all."""

    service: str | None = None
    reason: str | None = None
    """A part of the reason, in letters of any case."""
    topic: str | None = None
    """Where the message was read, without the prefix."""
    camera: str | None = None
    since_s: float | None = None

    def test(self, kafka: KafkaSettings) -> Callable[[Letter], bool]:
        """Whether a letter is meant, where topics are named with the prefix of these settings."""

        def is_meant(letter: Letter) -> bool:
            origin = letter.origin_place
            read_in = None if origin is None else origin.topic
            return (
                (self.service is None or letter.service == self.service)
                and (self.reason is None or self.reason.casefold() in letter.reason.casefold())
                and (self.topic is None or read_in == kafka.topic_prefix + self.topic)
                and (self.camera is None or letter.camera_id == self.camera)
                and (self.since_s is None or letter.written_at_s >= self.since_s)
            )

        return is_meant


def letters_in(records: Iterable[StoredMessage]) -> Sequence[Letter]:
    """The letters among the records of the topic, the oldest first, with what is noted of their replay."""
    found: list[Letter] = []
    replayed: set[str] = set()
    for record in records:
        note = dict(record.encoded.headers).get(REPLAYED_HEADER)
        if note is not None:
            replayed.add(note.decode(errors="replace"))
        elif (letter := Letter.of(record)) is not None:
            found.append(letter)
    marked = [replace(one, replayed=one.place in replayed) for one in found]
    return sorted(marked, key=lambda letter: letter.written_at_s)


def read_letters(reader: KafkaReader, kafka: KafkaSettings, since_s: float | None = None) -> Sequence[Letter]:
    """All letters that were written since then and are kept still, the oldest first.

    Raises:
        NotNow: Kafka is away.
    """
    topic = kafka.topic_prefix + DEAD_LETTERS_NAME
    begins = reader.begins(topic) if since_s is None else reader.since(topic, since_s)
    return letters_in(reader.read(topic, begins, reader.ends(topic)))
