"""`python -m tests.support.device_worker SERVICE DEVICE_MS`: the service with a simulated device.

Everything but its inference is what the service itself is made of: source, stage, output and entry point.
"""

from __future__ import annotations

import sys
from typing import Any

from agegender.services.classify.calibration import load_calibration
from agegender.services.classify.config import ClassifySettings
from agegender.services.classify.stage import ClassifyStage
from agegender.services.detect.checkpoints import CHECKPOINTS, CheckpointingOutput
from agegender.services.detect.config import DetectSettings
from agegender.services.detect.stage import DetectOutput, DetectStage
from agegender.shared.kafka.changelog import KafkaChangelog
from agegender.shared.kafka.output import KafkaDeadLetters, KafkaOutput
from agegender.shared.kafka.source import KafkaSource
from agegender.shared.kafka.topics import FACES, FRAMES, RESULTS
from agegender.shared.messages.pipeline import Face, Frame, Result, TrackUpdate
from agegender.shared.process.health import Health
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.runtime.runner import Runner
from agegender.shared.runtime.service import Build, serve
from agegender.shared.runtime.transport import Output
from tests.support.simulated_device import SimulatedDetector, SimulatedNets


def build_classify(
    metrics: Metrics, health: Health, device_s: float
) -> Runner[Face | TrackUpdate, Result | TrackUpdate]:
    """As `agegender.services.classify` is put together, but for the nets."""
    settings, kafka = ClassifySettings.load(), KafkaSettings.load()
    nets = SimulatedNets(device_s)
    return Runner(
        "classify",
        KafkaSource(FACES, "classify", kafka),
        ClassifyStage(nets, load_calibration(settings.nets)),
        KafkaOutput(RESULTS, kafka),
        KafkaDeadLetters(kafka),
        metrics=metrics,
        health=health,
        batch=settings.batch(),
    )


def build_detect(metrics: Metrics, health: Health, device_s: float) -> Runner[Frame, DetectOutput]:
    """As `agegender.services.detect` is put together, but for the detector."""
    settings, kafka = DetectSettings.load(), KafkaSettings.load()
    stage = DetectStage(SimulatedDetector(device_s), selection=settings.selection)
    faces: Output[Any] = KafkaOutput(FACES, kafka)
    output = CheckpointingOutput(stage, faces, KafkaChangelog(CHECKPOINTS, kafka))
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


def main(service: str, device_ms: str) -> int:
    """Returns the exit status."""
    device_s = float(device_ms) / 1000
    builds: dict[str, Build] = {
        "classify": lambda metrics, health: build_classify(metrics, health, device_s),
        "detect": lambda metrics, health: build_detect(metrics, health, device_s),
    }
    return serve(service, 0, builds[service])


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
