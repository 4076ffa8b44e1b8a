"""`python -m services.sink`: writes what classify and detect found to Redis."""

from __future__ import annotations

import sys

from agegender.services.sink.config import SinkSettings
from agegender.services.sink.redis_store import RedisStore
from agegender.services.sink.stage import SinkStage
from agegender.shared.kafka.output import KafkaDeadLetters
from agegender.shared.kafka.source import KafkaSource
from agegender.shared.kafka.topics import STORED
from agegender.shared.messages.pipeline import Stored
from agegender.shared.process.certificates import register_certificate_gauges
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings, RedisSettings
from agegender.shared.runtime.runner import BatchLimits, Runner
from agegender.shared.runtime.service import serve
from agegender.shared.store import connect


def build(metrics: Metrics, health: Health) -> Runner[Stored, Stored]:
    """The service between Kafka and Redis."""
    settings, kafka, redis = SinkSettings.load(), KafkaSettings.load(), RedisSettings.load()
    register_certificate_gauges(metrics, kafka, redis)
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
