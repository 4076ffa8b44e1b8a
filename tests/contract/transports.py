"""The transports under the contract. Another one needs one more class and one name."""

from __future__ import annotations

import importlib.util
from typing import Protocol

import pytest

from agegender.shared.kafka.topics import FRAMES
from agegender.shared.messages.codec import Encoded
from agegender.shared.messages.pipeline import Frame
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.memory import MemoryTopic
from agegender.shared.runtime.transport import Output, Source
from tests.support.availability import ServerUnavailableError, skip_or_fail

NAMES = ("memory", "kafka")


class Transport(Protocol):
    """One topic of frames of this test alone. Every source of it reads on where the last one committed."""

    def source(self) -> Source[Frame]:
        """A reading end, closed yet. One at a time."""

    def output(self) -> Output[Frame]:
        """A writing end, closed yet."""

    def write_raw(self, encoded: Encoded) -> None:
        """Puts any bytes into the topic, behind what is there."""


class MemoryTransport:
    """Inside this process."""

    def __init__(self) -> None:
        self._topic = MemoryTopic(FRAMES.name, FRAMES.codec, capacity=1_000)

    def source(self) -> Source[Frame]:
        return self._topic.source()

    def output(self) -> Output[Frame]:
        return self._topic.output()

    def write_raw(self, encoded: Encoded) -> None:
        with self._topic.changed:
            self._topic.waiting.append((self._topic.next_offset, encoded))
            self._topic.next_offset += 1
            self._topic.changed.notify_all()


class KafkaTransport:
    """Over a real broker, in a topic of several partitions."""

    def __init__(self, bootstrap_servers: str, prefix: str) -> None:
        self._settings = KafkaSettings(bootstrap_servers=bootstrap_servers, topic_prefix=prefix, partitions=3)

    def source(self) -> Source[Frame]:
        from agegender.shared.kafka.source import KafkaSource

        return KafkaSource(FRAMES, "readers", self._settings)

    def output(self) -> Output[Frame]:
        from agegender.shared.kafka.output import KafkaOutput

        return KafkaOutput(FRAMES, self._settings)

    def write_raw(self, encoded: Encoded) -> None:
        from kafka import KafkaProducer

        from agegender.shared.kafka.topic_admin import ensure_topic

        name = self._settings.topic_prefix + FRAMES.name
        ensure_topic(self._settings, name, FRAMES.retention_s)
        with KafkaProducer(bootstrap_servers=self._settings.bootstrap_servers) as producer:
            producer.send(name, key=encoded.key, value=encoded.value, headers=list(encoded.headers)).get(
                timeout=10
            )


def make(name: str, request: pytest.FixtureRequest) -> Transport:
    """The transport called `name`; skips the test where its server cannot be had."""
    if name == "memory":
        return MemoryTransport()
    if importlib.util.find_spec("kafka") is None:
        skip_or_fail(ServerUnavailableError("the package kafka-python is not installed"))
    prefix: str = request.getfixturevalue("random_suffix")
    return KafkaTransport(request.getfixturevalue("kafka"), f"{prefix}-")
