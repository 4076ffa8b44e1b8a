"""Kafka for the commands that talk to it: the client is an optional package."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from agegender.shared.errors import MissingExtra
from agegender.shared.process.settings import KafkaSettings

if TYPE_CHECKING:
    from agegender.shared.kafka.reader import KafkaReader


@contextlib.contextmanager
def importing_kafka(purpose: str) -> Iterator[None]:
    """A block that imports Kafka's client; MissingExtra is raised where it is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "kafka":
            raise
        raise MissingExtra("kafka-python", "kafka", purpose) from None


def kafka_reader(kafka: KafkaSettings, purpose: str) -> KafkaReader:
    """A reader of topics, to be used in a `with`.

    Raises:
        MissingExtra: the client is not installed.
    """
    with importing_kafka(purpose):
        from agegender.shared.kafka.reader import KafkaReader
    return KafkaReader(kafka)
