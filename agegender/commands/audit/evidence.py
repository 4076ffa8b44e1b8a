"""What Kafka and the store hold, read in an order that keeps the numbers comparable while workers go on.

A worker writes its output before it commits its input. So committed offsets are read before the topics that
follow: the output of each committed message is there by then. An output is also appended after its input,
so the ends of the topics are read from the last topic to the first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from agegender.commands.audit.counters import Counters, scrape
from agegender.commands.dead_letters.letters import Letter, MessagePosition, camera_of, letters_in
from agegender.shared.errors import BadMessage
from agegender.shared.kafka.topics import DEAD_LETTERS_NAME, FACES, FRAMES, READERS, RESULTS, Topic
from agegender.shared.messages.pipeline import Face, Frame, Result, TrackUpdate
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.store import CAMERAS_KEY, CameraKeys, ResultStore, redis_errors_sorted

if TYPE_CHECKING:
    import redis

    from agegender.shared.kafka.reader import KafkaReader, Offsets, StoredMessage

_GLANCES = 10
_ALL = 1_000_000


@dataclass(frozen=True, slots=True)
class Item:
    """A frame, a face or a result in its topic, without its content."""

    camera_id: str | None
    item_id: str | None
    """The same for each copy of a message; None for a message that cannot be decoded."""
    made_at_s: float
    """By the clock of the worker that sent it."""
    parent_id: str | None
    """The message from which it was made."""
    parent_made_at_s: float
    position: MessagePosition
    appended_at_s: float


@dataclass(frozen=True)
class TopicView:
    """The messages of a topic in the audit's window, and how many of them are processed."""

    items: Sequence[Item] = ()
    committed: Mapping[int, int] = field(default_factory=dict)
    dead: frozenset[MessagePosition] = frozenset()
    """The positions of messages that became dead letters."""
    begins: Mapping[int, int] = field(default_factory=dict)
    """The offset of the oldest message in each partition. Kafka has deleted all before it."""
    whole: bool = False
    """Whether `items` are all messages that were ever in the topic."""

    @property
    def deleted_unread_by_partition(self) -> Mapping[int, int]:
        """How many deleted messages lie behind the position of the group in each partition."""
        return {
            number: max(0, begin - self.committed[number])
            for number, begin in self.begins.items()
            if number in self.committed
        }

    def is_waiting(self, item: Item) -> bool:
        """Whether the group has not processed it yet."""
        return item.position.offset >= self.committed.get(item.position.partition, 0)

    def is_dead(self, item: Item) -> bool:
        """Whether it became a dead letter."""
        return item.position in self.dead


@dataclass(frozen=True)
class StoreView:
    """The single results of a camera in the store."""

    remembered: frozenset[str] = frozenset()
    """Ids that the sink would refuse as repeats."""
    listed: Mapping[str, float] = field(default_factory=dict)
    """Id of each result in the list → the time when it was classified."""


@dataclass(frozen=True)
class Glance:
    """The counters of ingest, and the ends of `frames` just before and just after they were read."""

    before: Offsets
    counters: Counters
    after: Offsets


@dataclass(frozen=True)
class Evidence:
    """All data of an audit."""

    since_s: float
    counters: Counters
    frames: TopicView
    faces: TopicView
    results: TopicView
    stored: Mapping[str, StoreView]
    letters: Sequence[Letter]
    glances: Sequence[Glance] = ()


def gather(
    reader: KafkaReader,
    kafka: KafkaSettings,
    client: redis.Redis,
    counters: Callable[[], Counters],
    window_s: float,
) -> Evidence:
    """Reads everything once.

    Args:
        counters: reads the counters of all workers.
        window_s: the length of the window; older messages are ignored.

    Raises:
        NotNow: Kafka, Redis or a worker does not answer.
    """
    from agegender.shared.kafka.client import committed_offsets

    since_s = time.time() - window_s
    names = {name: kafka.topic_prefix + name for name in READERS}
    committed = {
        name: committed_offsets(kafka, kafka.topic_prefix + group, names[name])
        for name, group in READERS.items()
    }
    counted = counters()
    glances = _glances(reader, names[FRAMES.name], counted)
    letters = _letters(reader, kafka, since_s)
    stored = {camera: _stored(client, camera) for camera in _cameras_of_store(client)}
    ends = {name: reader.ends(names[name]) for name in (RESULTS.name, FACES.name, FRAMES.name)}
    begins = {name: reader.since(names[name], since_s) for name in names}

    def view(topic: Topic[Any]) -> TopicView:
        name = topic.name
        first = reader.begins(names[name])
        records = reader.read(names[name], begins[name], ends[name])
        return TopicView(
            [item for item in (_item(topic, record) for record in records) if item is not None],
            committed[name],
            frozenset(letter.origin_position for letter in letters if letter.origin_position is not None),
            first,
            whole=not any(first.values()) and not any(begins[name].values()),
        )

    frames, faces, results = view(FRAMES), view(FACES), view(RESULTS)
    return Evidence(since_s, counted, frames, faces, results, stored, letters, glances)


def _glances(reader: KafkaReader, frames: str, counters: Counters) -> Sequence[Glance]:
    """Several in quick succession. In one of them, most likely, a camera had no frame on its way."""
    ended = [worker for worker in counters.workers if worker.ended]
    addresses = [worker.address for worker in counters.of("ingest") if not worker.ended]
    found: list[Glance] = []
    while addresses and len(found) < _GLANCES:
        before, now = reader.ends(frames), scrape(addresses)
        found.append(Glance(before, Counters([*now.workers, *ended]), reader.ends(frames)))
        if found[-1].before == found[-1].after:
            break
    return found


def _letters(reader: KafkaReader, kafka: KafkaSettings, since_s: float) -> Sequence[Letter]:
    topic = kafka.topic_prefix + DEAD_LETTERS_NAME
    return letters_in(reader.read(topic, reader.since(topic, since_s), reader.ends(topic)))


def _item(topic: Topic[Any], record: StoredMessage) -> Item | None:
    """None for track updates, which the reconciliation does not count."""
    position = MessagePosition(record.topic, record.partition, record.offset)
    appended_s = record.appended_at_s
    try:
        message = topic.codec.decode(record.encoded)
    except BadMessage:
        return Item(camera_of(record.encoded.key), None, 0.0, None, 0.0, position, appended_s)
    match message:
        case Frame():
            info = message.info
            return Item(info.camera_id, info.frame_id, info.published_at_s, None, 0.0, position, appended_s)
        case Face(info=face):
            frame = face.frame
            origin = (frame.frame_id, frame.published_at_s)
            return Item(frame.camera_id, face.face_id, face.detected_at_s, *origin, position, appended_s)
        case Result(face=face):
            origin = (face.face_id, face.detected_at_s)
            return Item(
                message.camera_id, face.face_id, message.classified_at_s, *origin, position, appended_s
            )
        case TrackUpdate():
            return None
    raise TypeError(f"expected a message of a topic, got {type(message).__name__}")


def _cameras_of_store(client: redis.Redis) -> Sequence[str]:
    with redis_errors_sorted(client):
        found = cast("list[bytes]", client.zrange(CAMERAS_KEY, 0, -1))
    return [camera.decode() for camera in found]


def _stored(client: redis.Redis, camera_id: str) -> StoreView:
    with redis_errors_sorted(client):
        remembered = cast("list[bytes]", client.zrange(CameraKeys.of(camera_id).seen, 0, -1))
    listed = ResultStore(client).results(camera_id, _ALL)
    return StoreView(
        frozenset(one.decode() for one in remembered),
        {one.result.face.face_id: one.result.classified_at_s for one in listed},
    )
