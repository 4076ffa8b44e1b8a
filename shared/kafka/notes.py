"""The notes that a group leaves with its commits.

A note has two parts: what the readers of a topic tell its writers, and what they keep for themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agegender.shared.errors import NotNow
from agegender.shared.kafka.client import answered, connect_admin
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.transport import Note

_BETWEEN = "\n"


def joined_note(told: str, own: str) -> str:
    """A note of two parts; neither has more than one line. An empty first part takes no room."""
    return f"{told}{_BETWEEN}{own}" if told else own


def own_part(note: str) -> str:
    """What the group has kept for itself."""
    return note.rpartition(_BETWEEN)[2]


def told_part(note: str) -> str:
    """What the group tells the writers."""
    return note.rpartition(_BETWEEN)[0]


class KafkaNotes:
    """Reads the notes of one group on one topic. Used by one thread; connects at the first question.

    Args:
        topic: without the prefix, as is `group`.
    """

    def __init__(self, kafka: KafkaSettings, topic: str, group: str) -> None:
        self._kafka = kafka
        self._topic = kafka.topic_prefix + topic
        self._group = kafka.topic_prefix + group
        self._admin: Any = None

    def read(self) -> Mapping[int, Note]:
        """Partition → its note; partitions without a commit are left out. Raises NotNow."""
        if self._admin is None:
            self._admin = connect_admin(self._kafka)
        try:
            with answered(self._kafka):
                found = self._admin.list_group_offsets({self._group: None})[self._group]
        except NotNow:
            self.close()
            raise
        return {
            one.partition: Note(at.offset, told_part(at.metadata or ""))
            for one, at in found.items()
            if one.topic == self._topic and at.offset >= 0
        }

    def close(self) -> None:
        """Closes the connection."""
        admin, self._admin = self._admin, None
        if admin is not None:
            admin.close()
