"""How topics are made, and in what one that is there differs. Pure: `kafka_topics` asks the broker.

Kafka deletes whole segments, and only closed ones: a topic that deletes late, closes its segments late or
never deletes by time keeps pictures of people for longer than is said to them. So segments are closed long
before they may be deleted. The age of a message is counted by the broker's clock, whatever the workers'
clocks say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from agegender.shared.messages.codec import MAX_MESSAGE_BYTES
from agegender.shared.process.settings import KafkaSettings

LARGEST_BYTES = MAX_MESSAGE_BYTES + 64_000
"""A message with what the client and the broker add around it."""

PARTITIONS = "partitions"
COPIES = "copies"
POLICY = "cleanup.policy"
RETENTION = "retention.ms"
SEGMENT = "segment.ms"
SIZE = "retention.bytes"

_FOR_EVER = -1
_SHORTEST_SEGMENT_MS = 60_000
_TABLE_SEGMENT_MS = 24 * 3600 * 1000  # Kafka compacts only closed segments


@dataclass(frozen=True)
class TopicForm:
    """How a topic is made. `name`: with the prefix; `copies`: of each partition."""

    name: str
    partitions: int
    copies: int
    configs: Mapping[str, str]

    @classmethod
    def passing(cls, kafka: KafkaSettings, name: str, retention_s: int) -> TopicForm:
        """Of a topic whose messages are kept for a time."""
        segment_ms = max(_SHORTEST_SEGMENT_MS, retention_s * 1000 // 4)
        kept = {
            POLICY: "delete",
            RETENTION: str(retention_s * 1000),
            SEGMENT: str(segment_ms),
            SIZE: str(kafka.partition_bytes),
        }
        return cls._of(kafka, name, kafka.partitions, kept)

    @classmethod
    def table(cls, kafka: KafkaSettings, name: str, partitions: int) -> TopicForm:
        """Of a topic that keeps the newest message of each key for ever."""
        return cls._of(kafka, name, partitions, {POLICY: "compact", SEGMENT: str(_TABLE_SEGMENT_MS)})

    @classmethod
    def changelog(cls, kafka: KafkaSettings, name: str, partitions: int, kept_s: int) -> TopicForm:
        """Of a table that changes all the time; Kafka compacts what is older than a minute."""
        kept = {
            POLICY: "compact,delete",
            RETENTION: str(kept_s * 1000),
            SEGMENT: str(_SHORTEST_SEGMENT_MS),
            "min.compaction.lag.ms": str(_SHORTEST_SEGMENT_MS),
        }
        return cls._of(kafka, name, partitions, kept)

    @classmethod
    def _of(cls, kafka: KafkaSettings, name: str, partitions: int, kept: Mapping[str, str]) -> TopicForm:
        common = {
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(LARGEST_BYTES),
            # With several copies, one broker may be away and nothing is held back or lost.
            "min.insync.replicas": str(max(1, kafka.replication - 1)),
        }
        return cls(name, partitions, kafka.replication, {**kept, **common})

    @property
    def is_compacted(self) -> bool:
        """Whether it keeps the newest message of each key."""
        return is_compacted(self.configs)


@dataclass(frozen=True)
class FoundTopic:
    """A topic as it is. `copies`: of the partition that has the fewest; `configs`: those of its form."""

    partitions: int
    copies: int
    configs: Mapping[str, str]
    """Empty where the broker does not tell them."""


class Deviation(NamedTuple):
    """A setting of a topic that is not as its form."""

    setting: str
    expected: str
    found: str


def deviations(found: FoundTopic, form: TopicForm) -> Iterator[Deviation]:
    """In what a topic differs from its form: partitions, copies, and the settings that the broker tells."""
    if found.partitions != form.partitions:
        yield Deviation(PARTITIONS, str(form.partitions), str(found.partitions))
    if found.copies != form.copies:
        yield Deviation(COPIES, str(form.copies), str(found.copies))
    for setting, expected in form.configs.items():
        is_as = found.configs.get(setting, expected)
        if _words(is_as) != _words(expected):
            yield Deviation(setting, expected, is_as)


def kept_longer(found: FoundTopic, form: TopicForm) -> Iterator[Deviation]:
    """By which settings a topic keeps its messages for longer than its form; shorter is nobody's harm."""
    if "delete" not in _words(found.configs[POLICY]):
        yield Deviation(POLICY, form.configs[POLICY], found.configs[POLICY])
    for setting in (RETENTION, SEGMENT):
        time_ms = int(found.configs[setting])
        if time_ms == _FOR_EVER or time_ms > int(form.configs[setting]):
            yield Deviation(setting, form.configs[setting], found.configs[setting])


def is_compacted(configs: Mapping[str, str]) -> bool:
    """Whether a topic with these settings keeps the newest message of each key."""
    return "compact" in _words(configs[POLICY])


def advice(bootstrap_servers: str, topic: str, deviation: Deviation) -> str:
    """The command with which whoever owns the broker sets a setting as expected."""
    return (
        f"kafka-configs.sh --bootstrap-server {bootstrap_servers} --alter --entity-type topics "
        f"--entity-name {topic} --add-config {deviation.setting}={_as_argument(deviation.expected)}"
    )


def _as_argument(value: str) -> str:
    return f"[{value}]" if "," in value else value


def _words(value: str) -> frozenset[str]:
    return frozenset(value.split(","))
