"""`python -m tests.support.device_worker SERVICE DEVICE_MS`: the service with a simulated device.

Everything but its inference is what the service itself is made of: source, stage, output and entry point.
"""

from __future__ import annotations

import sys
from typing import Any

from services.classify.calibration import load_calibration
from services.classify.config import ClassifySettings
from services.classify.stage import ClassifyStage
from services.detect.config import DetectSettings
from services.detect.remembering import TRACKS, RememberingOutput
from services.detect.stage import DetectStage, Found
from shared.health import Health
from shared.kafka_changelog import KafkaChangelog
from shared.kafka_output import KafkaDeadLetters, KafkaOutput
from shared.kafka_source import KafkaSource
from shared.messages import Face, Frame, Presence, Result
from shared.metrics import Metrics
from shared.runner import Runner
from shared.service import Build, serve
from shared.settings import KafkaSettings
from shared.topics import FACES, FRAMES, RESULTS
from shared.transport import Output
from tests.support.simulated_device import SimulatedDetector, SimulatedNets


def build_classify(
    metrics: Metrics, health: Health, device_s: float
) -> Runner[Face | Presence, Result | Presence]:
    """As `services.classify` is put together, but for the nets."""
    settings, kafka = ClassifySettings.load(), KafkaSettings.load()
    nets = SimulatedNets(device_s)
    return Runner(
        "classify",
        KafkaSource(FACES, "classify", kafka),
        ClassifyStage(nets, load_calibration(nets.name), settings.views),
        KafkaOutput(RESULTS, kafka),
        KafkaDeadLetters(kafka),
        metrics=metrics,
        health=health,
        batch=settings.batch(),
    )


def build_detect(metrics: Metrics, health: Health, device_s: float) -> Runner[Frame, Found]:
    """As `services.detect` is put together, but for the detector."""
    settings, kafka = DetectSettings.load(), KafkaSettings.load()
    stage = DetectStage(SimulatedDetector(device_s), judge=settings.judge)
    faces: Output[Any] = KafkaOutput(FACES, kafka)
    output = RememberingOutput(stage, faces, KafkaChangelog(TRACKS, kafka))
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
