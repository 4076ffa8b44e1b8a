"""`python -m services.ingest`: cameras into the topic `frames`."""

from __future__ import annotations

import sys

from services.ingest.camera_source import CameraSource
from services.ingest.captured import Captured
from services.ingest.config import IngestSettings
from shared.health import Health
from shared.kafka_io import KafkaDeadLetters, KafkaOutput
from shared.messages import Frame
from shared.metrics import Metrics
from shared.runner import BatchLimits, Runner
from shared.service import serve
from shared.settings import KafkaSettings
from shared.topics import FRAMES


def build(metrics: Metrics, health: Health) -> Runner[Captured, Frame]:
    """The service over Kafka."""
    settings, kafka = IngestSettings.load(), KafkaSettings.load()
    cameras = settings.camera_list()
    return Runner(
        "ingest",
        CameraSource(cameras, settings, metrics),
        settings.stage(),
        KafkaOutput(FRAMES, kafka),
        KafkaDeadLetters(kafka),
        metrics=metrics,
        health=health,
        batch=BatchLimits(len(cameras)),
    )


if __name__ == "__main__":
    sys.exit(serve("ingest", 9101, build))
