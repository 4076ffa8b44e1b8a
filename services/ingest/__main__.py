"""`python -m services.ingest`: cameras into the topic `frames`."""

from __future__ import annotations

import sys

from agegender.services.ingest.assigned_cameras import FollowedCameras
from agegender.services.ingest.camera_source import CameraSource
from agegender.services.ingest.config import IngestSettings
from agegender.services.ingest.publish.backpressure import Backpressure
from agegender.services.ingest.publish.buffer import FrameBuffer
from agegender.services.ingest.publish.outbox import Outbox
from agegender.services.ingest.stage import PublishStage
from agegender.shared.kafka.lag import KafkaBacklog
from agegender.shared.kafka.output import KafkaDeadLetters, KafkaOutput
from agegender.shared.kafka.topics import FRAMES, READERS
from agegender.shared.messages.pipeline import Frame
from agegender.shared.process.certificates import register_certificate_gauges
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.deadline import Deadline
from agegender.shared.runtime.runner import BatchLimits, Runner
from agegender.shared.runtime.service import serve

_MOST_FRAMES = 64  # of as many cameras, taken together


def build(metrics: Metrics, health: Health) -> Runner[Frame, Frame]:
    """The service over Kafka: with the cameras of its settings, or with those that the group gives it."""
    settings, kafka = IngestSettings.load(), KafkaSettings.load()
    register_certificate_gauges(metrics, kafka)
    return Runner(
        "ingest",
        Outbox(
            _fixed(settings, metrics) if settings.has_list else FollowedCameras(settings, kafka, metrics),
            settings.stage(),
            FrameBuffer(settings.buffer_bytes),
            metrics,
            Backpressure(KafkaBacklog(kafka, READERS).count, settings.most_waiting),
        ),
        PublishStage(Deadline(settings.stale_s)),
        KafkaOutput(FRAMES, kafka),
        KafkaDeadLetters(kafka),
        metrics=metrics,
        health=health,
        batch=BatchLimits(_MOST_FRAMES),
    )


def _fixed(settings: IngestSettings, metrics: Metrics) -> CameraSource:
    cameras = settings.camera_list()
    metrics.known_cameras.set(len(cameras))
    metrics.held_cameras.set(len(cameras))
    # It does not end with the last of its files: whoever starts a service anew would have them read again.
    return CameraSource(cameras, settings, metrics, change=True)


if __name__ == "__main__":
    sys.exit(serve("ingest", 9101, build))
