"""`python -m services.ingest`: cameras into the topic `frames`."""

from __future__ import annotations

import sys

from services.ingest.camera_source import CameraSource
from services.ingest.config import IngestSettings
from services.ingest.followed_cameras import FollowedCameras
from services.ingest.frame_buffer import FrameBuffer
from services.ingest.outbox import Outbox
from services.ingest.pace import Pace
from services.ingest.stage import PublishStage
from shared.certificates import show_certificates
from shared.freshness import Deadline
from shared.health import Health
from shared.kafka_backlog import KafkaBacklog
from shared.kafka_output import KafkaDeadLetters, KafkaOutput
from shared.messages import Frame
from shared.metrics import Metrics
from shared.runner import BatchLimits, Runner
from shared.service import serve
from shared.settings import KafkaSettings
from shared.topics import FRAMES, READERS

_MOST_FRAMES = 64  # of as many cameras, taken together


def build(metrics: Metrics, health: Health) -> Runner[Frame, Frame]:
    """The service over Kafka: with the cameras of its settings, or with those that the group gives it."""
    settings, kafka = IngestSettings.load(), KafkaSettings.load()
    show_certificates(metrics, kafka)
    return Runner(
        "ingest",
        Outbox(
            _fixed(settings, metrics) if settings.has_list else FollowedCameras(settings, kafka, metrics),
            settings.stage(),
            FrameBuffer(settings.buffer_bytes),
            metrics,
            Pace(KafkaBacklog(kafka, READERS).waiting, settings.most_waiting),
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
