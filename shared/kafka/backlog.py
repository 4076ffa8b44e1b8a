"""How many messages wait for those who read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agegender.shared.errors import NotNow
from agegender.shared.kafka.client import answered, connect_admin, partitions_of
from agegender.shared.process.settings import KafkaSettings

_LATEST, _EARLIEST = -1, -2  # Kafka's numbers for the end and the beginning of a partition


class KafkaBacklog:
    """Counts what groups have not done yet of their topics. Used by one thread; connects when first asked.

    Args:
        readers: topic → the group that works it off, both without the prefix.
    """

    def __init__(self, kafka: KafkaSettings, readers: Mapping[str, str]) -> None:
        self._kafka = kafka
        prefix = kafka.topic_prefix
        self._groups = {group: (prefix + group, prefix + topic) for topic, group in readers.items()}
        self._admin: Any = None

    def waiting(self) -> Mapping[str, int]:
        """Group → messages, without those that Kafka has deleted; 0 where the topic does not exist yet.

        A group that has never done anything has all before it. Raises NotNow.
        """
        if self._admin is None:
            self._admin = connect_admin(self._kafka)
        try:
            with answered(self._kafka):
                return self._look(self._admin)
        except NotNow:
            self.close()
            raise

    def _look(self, admin: Any) -> Mapping[str, int]:  # noqa: ANN401  (kafka-python has no types)
        # Positions first: what is done meanwhile counts as waiting, and never the other way round.
        positions = admin.list_group_offsets({group: None for group, _ in self._groups.values()})
        there = set(admin.list_topics())
        topics = admin.describe_topics([topic for _, topic in self._groups.values() if topic in there])
        numbers = {topic["name"]: [one["partition_index"] for one in topic["partitions"]] for topic in topics}
        partitions = [one for topic, some in numbers.items() for one in partitions_of(topic, some)]
        ends = admin.list_partition_offsets(dict.fromkeys(partitions, _LATEST))
        begins = admin.list_partition_offsets(dict.fromkeys(partitions, _EARLIEST))
        waiting = dict.fromkeys(self._groups, 0)
        for name, (group, topic) in self._groups.items():
            for one in partitions_of(topic, numbers.get(topic, ())):
                at = positions[group].get(one)
                done = begins[one].offset if at is None else max(at.offset, begins[one].offset)
                waiting[name] += max(0, ends[one].offset - done)
        return waiting

    def close(self) -> None:
        """Lets go."""
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.close()
