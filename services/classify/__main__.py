"""`python -m services.classify`: reads the topic `faces`, writes the topic `results`."""

from __future__ import annotations

import sys

from agegender.services.classify.build import build_classify_stage
from agegender.services.classify.config import ClassifySettings
from agegender.shared.kafka.output import KafkaDeadLetters, KafkaOutput
from agegender.shared.kafka.removed_cameras import RemovedCameras
from agegender.shared.kafka.source import KafkaSource
from agegender.shared.kafka.topics import FACES, RESULTS
from agegender.shared.messages.pipeline import Face, Result, TrackUpdate
from agegender.shared.process.certificates import register_certificate_gauges
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.runner import Runner
from agegender.shared.runtime.service import serve


def build(metrics: Metrics, health: Health) -> Runner[Face | TrackUpdate, Result | TrackUpdate]:
    """The service over Kafka."""
    settings, kafka = ClassifySettings.load(), KafkaSettings.load()
    register_certificate_gauges(metrics, kafka)
    metrics.device.labels("classify", settings.device, settings.nets).set(1)
    return Runner(
        "classify",
        KafkaSource(FACES, "classify", kafka, metrics=metrics, removed=RemovedCameras(kafka, metrics)),
        build_classify_stage(settings),
        KafkaOutput(RESULTS, kafka),
        KafkaDeadLetters(kafka),
        metrics=metrics,
        health=health,
        batch=settings.batch(),
    )


if __name__ == "__main__":
    sys.exit(serve("classify", 9103, build))
