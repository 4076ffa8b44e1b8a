"""Creates and inspects topics, for the services at their start and for `agegender topics`.

The first process that needs a topic creates it. An existing topic is never changed, because its owner may
have reasons for its settings. Differences are reported.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from typing import Any

from agegender.shared.errors import NotNow, SettingsError
from agegender.shared.kafka.client import ANSWER_MS, ClientError, TopicExists, open_admin, settings_of
from agegender.shared.kafka.topics import (
    POLICY,
    FoundTopic,
    TopicConfig,
    advice,
    is_compacted,
    longer_retention,
)
from agegender.shared.process.settings import KafkaSettings

log = logging.getLogger(__name__)

_CHECK_EVERY_S = 0.1


class KafkaTopics:
    """The topics of a broker. Every call raises NotNow when the broker does not answer or refuses."""

    def __init__(self, admin: Any) -> None:  # noqa: ANN401  (kafka-python has no types)
        self._admin = admin

    def find(self, expected: TopicConfig) -> FoundTopic | None:
        """The topic of that name as the broker has it; None when it does not exist."""
        if expected.name not in self._admin.list_topics():
            return None
        (found,) = self._admin.describe_topics([expected.name])
        return FoundTopic(
            partitions=len(found["partitions"]),
            replicas=min((len(one["replica_nodes"]) for one in found["partitions"]), default=0),
            settings=settings_of(self._admin, expected.name, expected.settings),
        )

    def create(self, config: TopicConfig, *, only_ask: bool = False) -> bool:
        """Creates a topic; False when it exists. `only_ask`: the broker checks it and creates nothing."""
        topic = {
            "num_partitions": config.partitions,
            "replication_factor": config.replicas,
            "configs": dict(config.settings),
        }
        try:
            self._admin.create_topics({config.name: topic}, validate_only=only_ask)
            is_ours = True
        except TopicExists:
            is_ours = False
        if not only_ask:
            self._admin.wait_for_topics([config.name], timeout_ms=ANSWER_MS)
            if is_ours:
                log.info("topic created", extra={"topic": config.name, "partitions": config.partitions})
        return is_ours

    def add_partitions(self, name: str, partitions: int, *, only_ask: bool = False) -> None:
        """Raises the number of partitions, unless another process has done so; `only_ask`: see `create`."""
        try:
            self._admin.create_partitions({name: partitions}, validate_only=only_ask)
        except ClientError:
            if self.partitions(name) < partitions:
                raise
        if only_ask:
            return
        until_s = time.monotonic() + ANSWER_MS / 1000
        while self.partitions(name) < partitions:
            if time.monotonic() > until_s:
                raise NotNow(f"Kafka: the new partitions of {name!r} are not there yet")
            time.sleep(_CHECK_EVERY_S)
        log.info("partitions added", extra={"topic": name, "partitions": partitions})

    def partitions(self, name: str) -> int:
        """The number of partitions of an existing topic."""
        (found,) = self._admin.describe_topics([name])
        return len(found["partitions"])


@contextlib.contextmanager
def open_topics(kafka: KafkaSettings) -> Iterator[KafkaTopics]:
    """The topics of the broker in these settings; raises NotNow, also inside the block."""
    with open_admin(kafka) as admin:
        yield KafkaTopics(admin)


def ensure_topic(kafka: KafkaSettings, name: str, retention_s: int) -> None:
    """Creates the topic if it does not exist. Logs a warning if it keeps messages for too long.

    Raises:
        NotNow: no broker answers.
    """
    config = TopicConfig.deleting(kafka, name, retention_s)
    found = _ensured(kafka, config)
    if found is None:
        return
    about = {"topic": name}
    if not found.settings:
        reason = "the broker does not reveal its settings: allow DescribeConfigs on it"
        log.warning("topic's retention not checked", extra=about | {"reason": reason})
        return
    for one in longer_retention(found, config):
        difference = {"setting": one.setting, "expected": one.expected, "found": one.found}
        hint = {"advice": advice(kafka.bootstrap_servers, name, one)}
        log.warning("topic keeps its messages for too long", extra=about | difference | hint)


def ensure_compacted_topic(
    kafka: KafkaSettings, name: str, partitions: int, retention_s: int | None = None
) -> None:
    """Creates a compacted topic if it does not exist.

    Args:
        retention_s: how long each message is kept; None: for ever.

    Raises:
        NotNow: no broker answers.
        SettingsError: the topic exists and is not compacted, so Kafka would delete its messages.
    """
    config = (
        TopicConfig.compacted(kafka, name, partitions)
        if retention_s is None
        else TopicConfig.changelog(kafka, name, partitions, retention_s)
    )
    found = _ensured(kafka, config)
    if found is not None and found.settings and not is_compacted(found.settings):
        raise SettingsError(
            f"the topic {name!r} has cleanup.policy={found.settings[POLICY]}, expected compact: Kafka would "
            "delete its messages after a while. Change it with kafka-configs.sh, or delete the topic and a "
            "service creates it again"
        )


def ensure_partitions(kafka: KafkaSettings, name: str, partitions: int) -> None:
    """Adds partitions to a topic that has fewer.

    Raises:
        NotNow: no broker answers, or the topic has more partitions, which Kafka cannot remove.
    """
    with open_topics(kafka) as topics:
        have = topics.partitions(name)
        if have < partitions:
            topics.add_partitions(name, partitions)
    if have > partitions:
        raise NotNow(
            f"Kafka: the topic {name!r} has {have} partitions, expected {partitions}: its messages would be "
            "looked for in the wrong ones. Delete the topic and a service creates it again"
        )


def _ensured(kafka: KafkaSettings, config: TopicConfig) -> FoundTopic | None:
    """The topic if it existed; None when it was created now."""
    with open_topics(kafka) as topics:
        found = topics.find(config)
        if found is None and not topics.create(config):
            found = topics.find(config)
    return found
