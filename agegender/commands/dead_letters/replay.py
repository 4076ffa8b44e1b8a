"""Sends bad messages back to the topics from which they came."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from agegender.commands.dead_letters.letters import REPLAY_OF_HEADER, Letter, note_of_replay
from agegender.shared.kafka.topics import DEAD_LETTERS_NAME, DEAD_LETTERS_RETENTION_S, FACES, FRAMES, RESULTS
from agegender.shared.messages.codec import MAX_MESSAGE_BYTES, Encoded
from agegender.shared.process.settings import KafkaSettings

if TYPE_CHECKING:
    from agegender.shared.kafka.output import KafkaRawOutput
    from agegender.shared.kafka.reader import KafkaReader

_RETENTION_S = {topic.name: topic.retention_s for topic in (FRAMES, FACES, RESULTS)}


class Fate(StrEnum):
    """What becomes of a letter in a replay."""

    SENT = "sent"
    """The message is in its topic again, and that is noted."""
    READY = "ready"
    """A dry run: it would be sent."""
    BEFORE = "replayed before"
    NO_TOPIC = "from an unknown topic"
    GONE = "the message is gone"
    """The letter does not carry it, and its topic no longer keeps it."""
    TOO_LARGE = "larger than a message may be"


@dataclass(frozen=True, slots=True)
class Replayed:
    """A letter and what became of it."""

    letter: Letter
    fate: Fate


class Replay:
    """Sends the messages of letters back, each once.

    After a crash between a message and its note, the next replay sends the message again. That does no harm:
    the sink writes each result once.

    Args:
        dry: send nothing, and say what would be sent.
    """

    def __init__(self, reader: KafkaReader, kafka: KafkaSettings, *, dry: bool = False) -> None:
        self._reader = reader
        self._kafka = kafka
        self._dry = dry
        self._outputs: dict[str, KafkaRawOutput] = {}

    def run(self, letters: Iterable[Letter]) -> Iterator[Replayed]:
        """Replays one letter after the other. The content of a message goes only to its topic.

        Raises:
            NotNow: Kafka is away. The letters before are replayed and noted.
        """
        try:
            for letter in letters:
                yield Replayed(letter, self._replay(letter))
        finally:
            for output in self._outputs.values():
                output.close()

    def _replay(self, letter: Letter) -> Fate:
        topic = self._topic(letter)
        if letter.replayed:
            return Fate.BEFORE
        if topic is None:
            return Fate.NO_TOPIC
        message = letter.message if letter.carries_message else self._from_its_topic(letter)
        if message is None:
            return Fate.GONE
        marked = _marked(message, letter.position)
        if marked.size_bytes > MAX_MESSAGE_BYTES:
            return Fate.TOO_LARGE
        if self._dry:
            return Fate.READY
        self._write(topic, _RETENTION_S[topic], marked)
        self._write(DEAD_LETTERS_NAME, DEAD_LETTERS_RETENTION_S, note_of_replay(letter))
        return Fate.SENT

    def _topic(self, letter: Letter) -> str | None:
        origin, prefix = letter.origin_position, self._kafka.topic_prefix
        if origin is None or not origin.topic.startswith(prefix):
            return None
        name = origin.topic.removeprefix(prefix)
        return name if name in _RETENTION_S else None

    def _from_its_topic(self, letter: Letter) -> Encoded | None:
        """The message at its old position; None if it is gone, or another message is there."""
        origin = letter.origin_position
        found = None if origin is None else self._reader.at(origin.topic, origin.partition, origin.offset)
        if found is None:
            return None
        key, size_bytes = found.encoded.key, len(found.encoded.value)
        # A topic that was deleted and created again has other messages at the same positions.
        is_the_same = key.startswith(letter.message.key) and size_bytes == letter.value_bytes
        return found.encoded if is_the_same else None

    def _write(self, name: str, retention_s: int, message: Encoded) -> None:
        from agegender.shared.kafka.output import KafkaRawOutput

        if name not in self._outputs:
            self._outputs[name] = KafkaRawOutput(name, retention_s, self._kafka)
        self._outputs[name].write([message])


def _marked(message: Encoded, position: str) -> Encoded:
    """The message with a header that names its letter. It replaces the header of an earlier replay."""
    headers = tuple(header for header in message.headers if header[0] != REPLAY_OF_HEADER)
    return message._replace(headers=(*headers, (REPLAY_OF_HEADER, position.encode())))
