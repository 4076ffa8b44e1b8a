"""Kafka for the commands that look at it: the client is an optional package."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.errors import MissingExtra
from shared.settings import KafkaSettings

if TYPE_CHECKING:
    from shared.kafka_reader import KafkaReader


def kafka_reader(kafka: KafkaSettings, purpose: str) -> KafkaReader:
    """A reader of topics, to be used in a `with`.

    Raises:
        MissingExtra: the client is not installed.
    """
    try:
        from shared.kafka_reader import KafkaReader
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] != "kafka":
            raise
        raise MissingExtra("kafka-python", "kafka", purpose) from None
    return KafkaReader(kafka)
