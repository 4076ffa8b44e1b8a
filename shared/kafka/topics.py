"""The topics: what each carries and for how long, and the configuration each is created with.

Kafka deletes whole segments, and only closed ones. A topic with long segments keeps pictures of people for
longer than its retention says, so segments are closed long before they may be deleted. The age of a message
counts from the broker's clock, so a wrong clock on a worker changes nothing.

Pure: `topic_admin` asks the broker.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from agegender.shared.cameras.record import CAMERA_SETTINGS_CODEC, CameraSettings
from agegender.shared.messages.codec import (
    CAMERA_NOTICE_CODEC,
    FACES_CODEC,
    FRAME_CODEC,
    MAX_MESSAGE_BYTES,
    PREVIEW_CODEC,
    RESULTS_CODEC,
    STORED_CODEC,
    AnyCodec,
)
from agegender.shared.messages.pipeline import (
    CameraNotice,
    Face,
    Frame,
    Model,
    Preview,
    Result,
    Stored,
    TrackUpdate,
)
from agegender.shared.process.settings import KafkaSettings

M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Topic(Generic[M]):
    """A topic of messages that are processed once. `retention_s`: how long Kafka keeps them."""

    name: str
    codec: AnyCodec[M]
    retention_s: int


@dataclass(frozen=True)
class CompactedTopic(Generic[M]):
    """A topic that keeps the newest message of each key for ever; an empty message deletes its key."""

    name: str
    codec: AnyCodec[M]


@dataclass(frozen=True)
class Changelog(Generic[M]):
    """A compacted topic that changes all the time. `retention_s`: after this time a message is deleted."""

    name: str
    codec: AnyCodec[M]
    retention_s: int


CAMERAS: CompactedTopic[CameraSettings] = CompactedTopic("cameras", CAMERA_SETTINGS_CODEC)

FRAMES: Topic[Frame] = Topic("frames", FRAME_CODEC, retention_s=10 * 60)
FACES: Topic[Face | TrackUpdate] = Topic("faces", FACES_CODEC, retention_s=10 * 60)
RESULTS: Topic[Result | TrackUpdate] = Topic("results", RESULTS_CODEC, retention_s=24 * 3600)
PREVIEWS: Topic[Preview] = Topic("previews", PREVIEW_CODEC, retention_s=2 * 60)
NOTICES: Topic[CameraNotice] = Topic("notices", CAMERA_NOTICE_CODEC, retention_s=10 * 60)

STORED: Sequence[Topic[Stored]] = tuple(
    Topic(one.name, STORED_CODEC, one.retention_s) for one in (RESULTS, PREVIEWS, NOTICES)
)
"""The topics that the sink reads. Pictures and notices have their own, because they are deleted sooner."""

CHECKPOINTS_NAME = "checkpoints"
CHECKPOINTS_RETENTION_S = 3600
"""Of the checkpoints of detect, a changelog. Longer than the frames, from which any state could go on."""

DEAD_LETTERS_NAME = "dead-letters"
DEAD_LETTERS_RETENTION_S = 7 * 24 * 3600

READERS: Mapping[str, str] = {FRAMES.name: "detect", FACES.name: "classify", RESULTS.name: "sink"}
"""Topic → the group that processes its messages."""

LARGEST_BYTES = MAX_MESSAGE_BYTES + 64_000
"""The size limit of topics and clients: the largest message with what Kafka adds around it."""

PARTITIONS = "partitions"
REPLICAS = "replicas"
POLICY = "cleanup.policy"
RETENTION = "retention.ms"
SEGMENT = "segment.ms"
SIZE = "retention.bytes"

_FOR_EVER = -1
_SHORTEST_SEGMENT_MS = 60_000
_COMPACTED_SEGMENT_MS = 24 * 3600 * 1000  # Kafka compacts only closed segments


@dataclass(frozen=True)
class TopicConfig:
    """How a topic is created. `name`: with the prefix; `replicas`: of each partition."""

    name: str
    partitions: int
    replicas: int
    settings: Mapping[str, str]

    @classmethod
    def deleting(cls, kafka: KafkaSettings, name: str, retention_s: int) -> TopicConfig:
        """The configuration of a topic that deletes its messages after a time."""
        segment_ms = max(_SHORTEST_SEGMENT_MS, retention_s * 1000 // 4)
        cleanup = {
            POLICY: "delete",
            RETENTION: str(retention_s * 1000),
            SEGMENT: str(segment_ms),
            SIZE: str(kafka.partition_bytes),
        }
        return cls._of(kafka, name, kafka.partitions, cleanup)

    @classmethod
    def compacted(cls, kafka: KafkaSettings, name: str, partitions: int) -> TopicConfig:
        """Of a topic that keeps the newest message of each key for ever."""
        return cls._of(kafka, name, partitions, {POLICY: "compact", SEGMENT: str(_COMPACTED_SEGMENT_MS)})

    @classmethod
    def changelog(cls, kafka: KafkaSettings, name: str, partitions: int, retention_s: int) -> TopicConfig:
        """Of a compacted topic that changes all the time; Kafka compacts what is older than a minute."""
        cleanup = {
            POLICY: "compact,delete",
            RETENTION: str(retention_s * 1000),
            SEGMENT: str(_SHORTEST_SEGMENT_MS),
            "min.compaction.lag.ms": str(_SHORTEST_SEGMENT_MS),
        }
        return cls._of(kafka, name, partitions, cleanup)

    @classmethod
    def _of(cls, kafka: KafkaSettings, name: str, partitions: int, cleanup: Mapping[str, str]) -> TopicConfig:
        common = {
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(LARGEST_BYTES),
            # With several replicas, one broker may be down: writing goes on and nothing is lost.
            "min.insync.replicas": str(max(1, kafka.replication - 1)),
        }
        return cls(name, partitions, kafka.replication, {**cleanup, **common})

    @property
    def is_compacted(self) -> bool:
        """Whether the topic keeps the newest message of each key."""
        return is_compacted(self.settings)


@dataclass(frozen=True)
class FoundTopic:
    """A topic as the broker has it. `replicas`: of the partition with the fewest."""

    partitions: int
    replicas: int
    settings: Mapping[str, str]
    """The settings that `TopicConfig` names; empty where the broker does not reveal them."""


class Deviation(NamedTuple):
    """A setting of a topic that differs from its configuration here."""

    setting: str
    expected: str
    found: str


def deviations(found: FoundTopic, expected: TopicConfig) -> Iterator[Deviation]:
    """All differences: partitions, replicas, and the settings that the broker reveals."""
    if found.partitions != expected.partitions:
        yield Deviation(PARTITIONS, str(expected.partitions), str(found.partitions))
    if found.replicas != expected.replicas:
        yield Deviation(REPLICAS, str(expected.replicas), str(found.replicas))
    for setting, value in expected.settings.items():
        found_value = found.settings.get(setting, value)
        if _words(found_value) != _words(value):
            yield Deviation(setting, value, found_value)


def longer_retention(found: FoundTopic, expected: TopicConfig) -> Iterator[Deviation]:
    """The differences that keep messages for longer than expected. A shorter time is no risk to privacy."""
    if "delete" not in _words(found.settings[POLICY]):
        yield Deviation(POLICY, expected.settings[POLICY], found.settings[POLICY])
    for setting in (RETENTION, SEGMENT):
        time_ms = int(found.settings[setting])
        if time_ms == _FOR_EVER or time_ms > int(expected.settings[setting]):
            yield Deviation(setting, expected.settings[setting], found.settings[setting])


def is_compacted(settings: Mapping[str, str]) -> bool:
    """Whether a topic with these settings keeps the newest message of each key."""
    return "compact" in _words(settings[POLICY])


def advice(bootstrap_servers: str, topic: str, deviation: Deviation) -> str:
    """The command with which the broker's administrator sets a setting to the expected value."""
    return (
        f"kafka-configs.sh --bootstrap-server {bootstrap_servers} --alter --entity-type topics "
        f"--entity-name {topic} --add-config {deviation.setting}={_as_argument(deviation.expected)}"
    )


def _as_argument(value: str) -> str:
    return f"[{value}]" if "," in value else value


def _words(value: str) -> frozenset[str]:
    return frozenset(value.split(","))
