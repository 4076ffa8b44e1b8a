"""Topics are made and looked at here, by the services at their start and by `agegender topics`.

Whoever comes first makes a topic; one that is there is left as it is. Somebody else may have made it, for
reasons that are not ours to overwrite: what is wrong with it is told.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from typing import Any

from agegender.shared.errors import NotNow, SettingsError
from agegender.shared.kafka.client import ANSWER_MS, ClientError, TopicExists, open_admin, settings_of
from agegender.shared.kafka.topic_config import (
    POLICY,
    FoundTopic,
    TopicForm,
    advice,
    is_compacted,
    kept_longer,
)
from agegender.shared.process.settings import KafkaSettings

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.1


class KafkaTopics:
    """The topics of a broker; every call raises NotNow where it does not answer, or refuses."""

    def __init__(self, admin: Any) -> None:  # noqa: ANN401  (kafka-python has no types)
        self._admin = admin

    def find(self, form: TopicForm) -> FoundTopic | None:
        """The topic of that name as it is; None: there is none."""
        if form.name not in self._admin.list_topics():
            return None
        (found,) = self._admin.describe_topics([form.name])
        return FoundTopic(
            partitions=len(found["partitions"]),
            copies=min((len(one["replica_nodes"]) for one in found["partitions"]), default=0),
            configs=settings_of(self._admin, form.name, form.configs),
        )

    def create(self, form: TopicForm, *, only_ask: bool = False) -> bool:
        """Makes a topic; False: somebody was faster. With `only_ask`, the broker says whether it would."""
        topic = {
            "num_partitions": form.partitions,
            "replication_factor": form.copies,
            "configs": dict(form.configs),
        }
        try:
            self._admin.create_topics({form.name: topic}, validate_only=only_ask)
            is_ours = True
        except TopicExists:
            is_ours = False
        if not only_ask:
            self._admin.wait_for_topics([form.name], timeout_ms=ANSWER_MS)
            if is_ours:
                log.info("topic created", extra={"topic": form.name, "partitions": form.partitions})
        return is_ours

    def add_partitions(self, name: str, partitions: int, *, only_ask: bool = False) -> None:
        """Gives a topic more partitions, unless somebody was faster; `only_ask`: see `create`."""
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
            time.sleep(_LOOK_EVERY_S)
        log.info("partitions added", extra={"topic": name, "partitions": partitions})

    def partitions(self, name: str) -> int:
        """How many a topic has that is there."""
        (found,) = self._admin.describe_topics([name])
        return len(found["partitions"])


@contextlib.contextmanager
def open_topics(kafka: KafkaSettings) -> Iterator[KafkaTopics]:
    """The topics of the broker of these settings; raises NotNow, also inside the block."""
    with open_admin(kafka) as admin:
        yield KafkaTopics(admin)


def ensure_topic(kafka: KafkaSettings, name: str, retention_s: int) -> None:
    """Creates the topic when it does not exist; one that keeps its messages for longer is told of in the log.

    Raises:
        NotNow: no broker answers.
    """
    form = TopicForm.passing(kafka, name, retention_s)
    found = _ensured(kafka, form)
    if found is None:
        return
    about = {"topic": name}
    if not found.configs:
        reason = "the broker does not tell its settings: allow DescribeConfigs on it"
        log.warning("topic's retention not checked", extra=about | {"reason": reason})
        return
    for one in kept_longer(found, form):
        what = {"setting": one.setting, "expected": one.expected, "found": one.found}
        hint = {"advice": advice(kafka.bootstrap_servers, name, one)}
        log.warning("topic keeps its messages for too long", extra=about | what | hint)


def ensure_table(kafka: KafkaSettings, name: str, partitions: int, kept_s: int | None = None) -> None:
    """Creates a compacted topic when it does not exist.

    Args:
        kept_s: how long each message is kept; None: for ever.

    Raises:
        NotNow: no broker answers.
        SettingsError: the topic exists and is not compacted: Kafka would forget what is in it.
    """
    form = (
        TopicForm.table(kafka, name, partitions)
        if kept_s is None
        else TopicForm.changelog(kafka, name, partitions, kept_s)
    )
    found = _ensured(kafka, form)
    if found is not None and found.configs and not is_compacted(found.configs):
        raise SettingsError(
            f"the topic {name!r} has cleanup.policy={found.configs[POLICY]}, expected compact: Kafka would "
            "forget its records after a while. Change it with kafka-configs.sh, or delete the topic: it is "
            "made anew"
        )


def ensure_partitions(kafka: KafkaSettings, name: str, partitions: int) -> None:
    """Adds partitions to a topic that has fewer.

    Raises:
        NotNow: no broker answers, or the topic has more, of which none can be taken away.
    """
    with open_topics(kafka) as topics:
        have = topics.partitions(name)
        if have < partitions:
            topics.add_partitions(name, partitions)
    if have > partitions:
        raise NotNow(
            f"Kafka: the topic {name!r} has {have} partitions, expected {partitions}: what it holds would be "
            "looked for in the wrong ones. Delete it: it is made anew"
        )


def _ensured(kafka: KafkaSettings, form: TopicForm) -> FoundTopic | None:
    """The topic as it was found; None: it was missing, and has this form now."""
    with open_topics(kafka) as topics:
        found = topics.find(form)
        if found is None and not topics.create(form):
            found = topics.find(form)
    return found
