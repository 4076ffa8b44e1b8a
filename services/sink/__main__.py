"""`python -m services.sink`: the topic `results` into Redis."""

from __future__ import annotations

import sys

from services.sink.config import SinkSettings
from services.sink.redis_store import RedisStore
from services.sink.stage import SinkStage
from shared.certificates import show_certificates
from shared.health import Health
from shared.kafka_output import KafkaDeadLetters
from shared.kafka_source import KafkaSource
from shared.messages import Stored
from shared.metrics import Metrics
from shared.runner import BatchLimits, Runner
from shared.service import serve
from shared.settings import KafkaSettings, RedisSettings
from shared.store import connect
from shared.topics import STORED


def build(metrics: Metrics, health: Health) -> Runner[Stored, Stored]:
    """The service between Kafka and Redis."""
    settings, kafka, redis = SinkSettings.load(), KafkaSettings.load(), RedisSettings.load()
    show_certificates(metrics, kafka, redis)
    return Runner(
        "sink",
        KafkaSource(STORED, "sink", kafka, metrics=metrics),
        SinkStage(),
        RedisStore(connect(redis), settings, metrics),
        KafkaDeadLetters(kafka),
        metrics=metrics,
        health=health,
        batch=BatchLimits(settings.batch_messages),
    )


if __name__ == "__main__":
    sys.exit(serve("sink", 9104, build))
