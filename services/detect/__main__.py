"""`python -m services.detect`: faces out of the topic `frames` into the topic `faces`."""

from __future__ import annotations

import sys
from typing import Any

from services.detect.config import DetectSettings
from services.detect.remembering import TRACKS, RememberingOutput
from services.detect.stage import Found
from shared.certificates import show_certificates
from shared.health import Health
from shared.kafka_changelog import KafkaChangelog
from shared.kafka_output import KafkaDeadLetters, KafkaOutput
from shared.kafka_source import KafkaSource
from shared.messages import Frame, Preview
from shared.metrics import Metrics
from shared.routing import RoutedOutput
from shared.runner import Runner
from shared.service import serve
from shared.settings import KafkaSettings
from shared.topics import FACES, FRAMES, PREVIEWS
from shared.transport import Output


def build(metrics: Metrics, health: Health) -> Runner[Frame, Found]:
    """The service over Kafka."""
    settings, kafka = DetectSettings.load(), KafkaSettings.load()
    show_certificates(metrics, kafka)
    stage = settings.stage()
    output = RememberingOutput(stage, _output(settings, kafka), KafkaChangelog(TRACKS, kafka))
    return Runner(
        "detect",
        KafkaSource(FRAMES, "detect", kafka, output.take_over, metrics=metrics),
        stage,
        output,
        KafkaDeadLetters(kafka),
        metrics=metrics,
        health=health,
        batch=settings.batch(),
    )


def _output(settings: DetectSettings, kafka: KafkaSettings) -> Output[Found]:
    faces: Output[Any] = KafkaOutput(FACES, kafka)
    return faces if settings.preview == "off" else RoutedOutput(Preview, KafkaOutput(PREVIEWS, kafka), faces)


if __name__ == "__main__":
    sys.exit(serve("detect", 9102, build))
