"""`python -m services.classify`: ages and genders of the topic `faces` into the topic `results`."""

from __future__ import annotations

import sys

from services.classify.config import ClassifySettings
from shared.certificates import show_certificates
from shared.health import Health
from shared.kafka_output import KafkaDeadLetters, KafkaOutput
from shared.kafka_source import KafkaSource
from shared.messages import Face, Presence, Result
from shared.metrics import Metrics
from shared.runner import Runner
from shared.service import serve
from shared.settings import KafkaSettings
from shared.topics import FACES, RESULTS


def build(metrics: Metrics, health: Health) -> Runner[Face | Presence, Result | Presence]:
    """The service over Kafka."""
    settings, kafka = ClassifySettings.load(), KafkaSettings.load()
    show_certificates(metrics, kafka)
    metrics.device.labels("classify", settings.device).set(1)
    return Runner(
        "classify",
        KafkaSource(FACES, "classify", kafka, metrics=metrics),
        settings.stage(),
        KafkaOutput(RESULTS, kafka),
        KafkaDeadLetters(kafka),
        metrics=metrics,
        health=health,
        batch=settings.batch(),
    )


if __name__ == "__main__":
    sys.exit(serve("classify", 9103, build))
