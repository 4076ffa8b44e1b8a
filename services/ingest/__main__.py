"""`python -m services.ingest`: publishes the frames of cameras to the topic `frames`."""

from __future__ import annotations

import sys

from agegender.services.ingest.assigned_cameras import AssignedCameras
from agegender.services.ingest.camera_source import CameraSource
from agegender.services.ingest.config import IngestSettings
from agegender.services.ingest.publish.backpressure import Backpressure
from agegender.services.ingest.publish.buffer import FrameBuffer
from agegender.services.ingest.publish.notices import NotedCameras
from agegender.services.ingest.publish.output import MAX_BATCH, BufferedOutput
from agegender.services.ingest.publish.told_pace import ToldPace
from agegender.services.ingest.reader import SERVICE
from agegender.services.ingest.sources.stream import CapturedFrame
from agegender.shared.kafka.lag import KafkaBacklog
from agegender.shared.kafka.notes import KafkaNotes
from agegender.shared.kafka.output import KafkaDeadLetters, KafkaOutput
from agegender.shared.kafka.topics import FRAMES, NOTICES, READERS
from agegender.shared.messages.pipeline import Frame
from agegender.shared.process.certificates import register_certificate_gauges
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.deadline import Deadline
from agegender.shared.runtime.runner import BatchLimits, Runner
from agegender.shared.runtime.service import serve


def build(metrics: Metrics, health: Health) -> Runner[CapturedFrame, Frame]:
    """The service over Kafka, with the cameras of its settings or with those that the group assigns."""
    settings, kafka = IngestSettings.load(), KafkaSettings.load()
    register_certificate_gauges(metrics, kafka)
    detect = READERS[FRAMES.name]
    pace = ToldPace(KafkaNotes(kafka, FRAMES.name, detect).read)
    cameras = (
        _listed(settings, metrics, pace)
        if settings.has_list
        else AssignedCameras(settings, kafka, metrics, pace.interval_s)
    )
    output = BufferedOutput(
        KafkaOutput(FRAMES, kafka, pace.note_written),
        cameras,
        FrameBuffer(settings.buffer_bytes),
        Backpressure(
            KafkaBacklog(kafka, READERS).count, settings.max_backlog, detect, lambda: pace.is_overloaded
        ),
        Deadline(settings.stale_s),
        metrics=metrics,
        health=health,
        pace=pace,
    )
    return Runner(
        SERVICE,
        NotedCameras(cameras, KafkaOutput(NOTICES, kafka)),
        settings.stage(),
        output,
        KafkaDeadLetters(kafka),
        metrics=metrics,
        health=health,
        batch=BatchLimits(MAX_BATCH),
        counts_sent=False,
    )


def _listed(settings: IngestSettings, metrics: Metrics, pace: ToldPace) -> CameraSource:
    cameras = settings.camera_list()
    metrics.known_cameras.set(len(cameras))
    metrics.held_cameras.set(len(cameras))
    # With `change` the service does not end after its last file. An orchestrator would start it again, and
    # the new process would read all files a second time.
    return CameraSource(cameras, settings, metrics, change=True, interval_s=pace.interval_s)


if __name__ == "__main__":
    sys.exit(serve("ingest", 9101, build))
