"""`python -m services.detect`: faces out of the topic `frames` into the topic `faces`."""

from __future__ import annotations

import sys

from services.detect.config import DetectSettings
from services.detect.remembering import TRACKS, RememberingOutput
from shared.health import Health
from shared.kafka_changelog import KafkaChangelog
from shared.kafka_output import KafkaDeadLetters, KafkaOutput
from shared.kafka_source import KafkaSource
from shared.messages import Face, Frame, Presence
from shared.metrics import Metrics
from shared.runner import Runner
from shared.service import serve
from shared.settings import KafkaSettings
from shared.topics import FACES, FRAMES


def build(metrics: Metrics, health: Health) -> Runner[Frame, Face | Presence]:
    """The service over Kafka."""
    settings, kafka = DetectSettings.load(), KafkaSettings.load()
    stage = settings.stage()
    output = RememberingOutput(stage, KafkaOutput(FACES, kafka), KafkaChangelog(TRACKS, kafka))
    return Runner(
        "detect",
        KafkaSource(FRAMES, "detect", kafka, output.take_over),
        stage,
        output,
        KafkaDeadLetters(kafka),
        metrics=metrics,
        health=health,
        batch=settings.batch(),
    )


if __name__ == "__main__":
    sys.exit(serve("detect", 9102, build))
