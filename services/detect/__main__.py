"""`python -m services.detect`: reads the topic `frames`, writes the topics `faces` and `checkpoints`."""

from __future__ import annotations

import sys
from typing import Any

from agegender.services.detect.build import build_detect_stage
from agegender.services.detect.checkpoints import CHECKPOINTS, CheckpointingOutput
from agegender.services.detect.config import DetectSettings
from agegender.services.detect.pace import Pace
from agegender.services.detect.stage import DetectOutput
from agegender.shared.kafka.changelog import KafkaChangelog
from agegender.shared.kafka.output import KafkaDeadLetters, KafkaOutput
from agegender.shared.kafka.removed_cameras import RemovedCameras
from agegender.shared.kafka.source import KafkaSource
from agegender.shared.kafka.topics import FACES, FRAMES, PREVIEWS
from agegender.shared.messages.pipeline import Frame, Preview
from agegender.shared.process.certificates import register_certificate_gauges
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.pace import pace_note
from agegender.shared.runtime.runner import Runner
from agegender.shared.runtime.service import serve
from agegender.shared.runtime.transport import Output, SplitOutput


def build(metrics: Metrics, health: Health) -> Runner[Frame, DetectOutput]:
    """The service over Kafka."""
    settings, kafka = DetectSettings.load(), KafkaSettings.load()
    register_certificate_gauges(metrics, kafka)
    removed = RemovedCameras(kafka, metrics)
    stage = build_detect_stage(settings, is_removed=removed.__contains__, pace=Pace(settings.stale_s))
    output = CheckpointingOutput(stage, _output(settings, kafka), KafkaChangelog(CHECKPOINTS, kafka))
    return Runner(
        "detect",
        KafkaSource(
            FRAMES,
            "detect",
            kafka,
            output.take_over,
            metrics=metrics,
            on_read=stage.note_read,
            removed=removed,
            note=lambda: pace_note(stage.rate_hz),
        ),
        stage,
        output,
        KafkaDeadLetters(kafka),
        metrics=metrics,
        health=health,
        batch=settings.batch(),
    )


def _output(settings: DetectSettings, kafka: KafkaSettings) -> Output[DetectOutput]:
    faces: Output[Any] = KafkaOutput(FACES, kafka)
    return faces if settings.preview == "off" else SplitOutput(Preview, KafkaOutput(PREVIEWS, kafka), faces)


if __name__ == "__main__":
    sys.exit(serve("detect", 9102, build))
