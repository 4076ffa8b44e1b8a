"""The outputs of the pipeline over Kafka: messages, checkpoints and dead letters."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from agegender.shared.errors import SettingsError
from agegender.shared.kafka.client import (
    ANSWER_MS,
    CLOSE_MS,
    ClientError,
    TooLarge,
    open_producer,
    translated,
)
from agegender.shared.kafka.private import abort
from agegender.shared.kafka.topic_admin import ensure_compacted_topic, ensure_topic
from agegender.shared.kafka.topics import (
    DEAD_LETTERS_NAME,
    DEAD_LETTERS_RETENTION_S,
    LARGEST_BYTES,
    Changelog,
    Topic,
)
from agegender.shared.messages.codec import Encoded, check_size
from agegender.shared.messages.pipeline import Model
from agegender.shared.process.secrets import mask
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.dead_letters import DeadLetter

log = logging.getLogger(__name__)

M = TypeVar("M", bound=Model)
T = TypeVar("T")


def _forget(_key: bytes, _partition: int) -> None:
    pass


class _KafkaWriter(Generic[T]):
    """Writes to a topic, and creates the topic if it does not exist.

    When the time for an answer is up, messages may still be on their way. The next call with the same batch
    waits for them and does not send them twice. Only messages that have failed are sent again, in their
    order and before the rest.

    Args:
        on_written: called with the key and the partition of each message that Kafka has.
    """

    def __init__(
        self,
        name: str,
        retention_s: int,
        encode: Callable[[T], Encoded],
        kafka: KafkaSettings,
        on_written: Callable[[bytes, int], None] = _forget,
    ) -> None:
        self._name = name
        self._retention_s = retention_s
        self._encode = encode
        self._kafka = kafka
        self._on_written = on_written
        self._producer: Any = None
        self._batch: Sequence[T] | None = None
        self._unsent: deque[Encoded] = deque()
        self._on_the_way: list[tuple[Encoded, Any]] = []

    def open(self) -> None:
        """See `transport.Output`."""
        if self._producer is None:
            self._ensure()
            self._producer = open_producer(self._kafka, f"agegender-{self._name}")

    def _ensure(self) -> None:
        ensure_topic(self._kafka, self._name, self._retention_s)

    def write(self, messages: Sequence[T]) -> None:
        """See `transport.Output`.

        Raises:
            BadMessage: a message is larger than any message may be. Nothing was written.
            SettingsError: the topic exists and accepts smaller messages only.
        """
        if not messages:
            return
        if messages is not self._batch:  # otherwise this is the same call again
            self._unsent, self._on_the_way = deque(self._encoded(messages)), []
            self._batch = messages
        try:
            self.open()
            self._settle()
            while self._unsent:
                self._send(self._unsent[0])
                self._unsent.popleft()
            self._settle()
        except TooLarge:
            raise SettingsError(
                f"Kafka refuses a message for {self._name!r} that is not too large: raise the topic's "
                f"max.message.bytes to {LARGEST_BYTES}"
            ) from None
        except ClientError as error:
            if not self._on_the_way:
                # The producer may be broken or the topic deleted, so the next call starts with `open`.
                self._drop_producer()
            raise translated(error, self._kafka) from None
        self._batch = None

    def _encoded(self, messages: Sequence[T]) -> Sequence[Encoded]:
        encoded = [self._encode(message) for message in messages]
        for one in encoded:
            check_size(one, self._name)
        return encoded

    def _send(self, one: Encoded) -> None:
        future = self._producer.send(self._name, value=one.value, key=one.key, headers=list(one.headers))
        self._on_the_way.append((one, future))

    def _settle(self) -> None:
        """Waits for the messages on their way. Puts failed ones back to be sent, and raises their error."""
        if not self._on_the_way:
            return
        self._producer.flush(timeout=ANSWER_MS / 1000)
        failed = [(one, future) for one, future in self._on_the_way if future.failed()]
        for one, future in self._on_the_way:
            if future.succeeded():
                self._on_written(one.key, future.value.partition)
        self._on_the_way = []
        if failed:
            self._unsent.extendleft(one for one, _ in reversed(failed))
            raise failed[0][1].exception

    def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        # Messages still on their way were never reported as written, and waiting could take minutes.
        abort(producer)
        try:
            producer.close(timeout=CLOSE_MS / 1000)
        except ClientError as error:
            log.debug("producer not closed", extra={"reason": mask(str(error))})

    def close(self) -> None:
        """See `transport.Output`."""
        self._drop_producer()
        self._batch = None


class KafkaOutput(_KafkaWriter[M]):
    """Writes the messages of a topic."""

    def __init__(
        self, topic: Topic[M], kafka: KafkaSettings, on_written: Callable[[bytes, int], None] = _forget
    ) -> None:
        name = kafka.topic_prefix + topic.name
        super().__init__(name, topic.retention_s, topic.codec.encode, kafka, on_written)


class KafkaChangelogOutput(_KafkaWriter[M]):
    """Writes the messages of a changelog.

    Args:
        partitions: of the topic, if it must be created.
    """

    def __init__(self, changelog: Changelog[M], kafka: KafkaSettings, partitions: int) -> None:
        super().__init__(
            kafka.topic_prefix + changelog.name, changelog.retention_s, changelog.codec.encode, kafka
        )
        self._partitions = partitions

    def _ensure(self) -> None:
        ensure_compacted_topic(self._kafka, self._name, self._partitions, self._retention_s)


class KafkaRawOutput(_KafkaWriter[Encoded]):
    """Writes encoded messages unchanged to the topic of this name, without the prefix."""

    def __init__(self, name: str, retention_s: int, kafka: KafkaSettings) -> None:
        super().__init__(kafka.topic_prefix + name, retention_s, lambda encoded: encoded, kafka)


class KafkaDeadLetters(_KafkaWriter[DeadLetter]):
    """Writes dead letters with reason and origin in headers. Settings decide whether the message is kept."""

    def __init__(self, kafka: KafkaSettings) -> None:
        name = kafka.topic_prefix + DEAD_LETTERS_NAME
        keep = kafka.dead_letter_pictures
        super().__init__(
            name, DEAD_LETTERS_RETENTION_S, lambda letter: letter.encoded(keep_value=keep), kafka
        )
