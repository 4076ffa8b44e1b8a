"""What a difference of a topic means for the operator, and how it is mended. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from agegender.commands.topics.comparing import TopicComparison
from agegender.commands.topics.forms import is_camera_table
from agegender.shared.kafka.topics import (
    PARTITIONS,
    POLICY,
    REPLICAS,
    RETENTION,
    SEGMENT,
    SIZE,
    Deviation,
    advice,
)
from agegender.shared.process.settings import KafkaSettings

_LESS_OR_MORE: Mapping[str, tuple[str, str]] = {
    PARTITIONS: ("fewer workers can share its work", "more workers can share its work than is said"),
    REPLICAS: ("it is lost with fewer brokers", "it takes more room than is said"),
    RETENTION: (
        "a service that is away longer misses messages",
        "its messages, which may be pictures of people, are kept for longer than is said",
    ),
    SEGMENT: ("it has more and smaller files", "its messages are deleted later than is said"),
    SIZE: (
        "its oldest messages are deleted unseen when it is full",
        "it may take more of the disk than is said",
    ),
    "min.compaction.lag.ms": ("old messages of a key go earlier", "old messages of a key stay for longer"),
    "max.message.bytes": ("large messages are refused", "it takes messages that no worker can read"),
    "min.insync.replicas": (
        "a message counts as safe with fewer brokers",
        "writers wait while fewer brokers are there",
    ),
}
_OTHERWISE: Mapping[str, str] = {
    POLICY: "its messages are kept by another rule",
    "message.timestamp.type": "the age of its messages is told by the clocks of workers",
}

WHEN_PARTITIONS_ARE_ADDED = (
    "With more partitions, most cameras move to others: nothing is lost. A person before a camera that "
    "moves is counted as another visit, and for a moment two workers have messages of it. Do it when few "
    "people are there, and restart the services afterwards: they notice new partitions only within five "
    "minutes. Partitions can never be taken away."
)


def meaning(one: Deviation) -> str:
    """What comes of a difference, in a few words."""
    if one.setting in _OTHERWISE:
        return _OTHERWISE[one.setting]
    less, more = _LESS_OR_MORE[one.setting]
    return less if _number(one.found) < _number(one.expected) else more


def remedy(one: Deviation, comparison: TopicComparison, kafka: KafkaSettings) -> str:
    """What to do about a difference: a command of Kafka's, or a setting of ours that fits what is there."""
    if one.setting == REPLICAS:
        return f"set KAFKA_REPLICATION={one.found} for all services, or use kafka-reassign-partitions.sh"
    if one.setting != PARTITIONS:
        return advice(kafka.bootstrap_servers, comparison.form.name, one)
    if is_camera_table(comparison.form, kafka):
        return f"set KAFKA_CAMERA_PARTITIONS={one.found} for all services: their number is for good"
    if comparison.form.is_compacted and not comparison.lacks_partitions:
        return "delete it while detect is stopped: it is created again, and people in view are counted again"
    if comparison.lacks_partitions:
        return "agegender topics apply --raise-partitions"
    return f"set KAFKA_PARTITIONS={one.found} for all services: none can be taken away"


def _number(value: str) -> float:
    """-1 is Kafka's word for no end."""
    return float("inf") if value == "-1" else float(value)
