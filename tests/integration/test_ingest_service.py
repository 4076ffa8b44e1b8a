"""The service ingest with a list of its own that holds nothing but a file."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.simulator.content.clips import write_video
from tests.support.services import Service
from tests.support.waiting import wait_until

FRAMES = 30


def test_the_service_does_not_end_after_its_last_file(kafka: str, random_suffix: str, tmp_path: Path) -> None:
    clip = tmp_path / "monday.mp4"
    write_video(clip, (np.zeros((90, 160, 3), np.uint8) for _ in range(FRAMES)), size_wh=(160, 90), fps=10)
    settings = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "KAFKA_TOPIC_PREFIX": f"{random_suffix}-",
        "INGEST_CAMERAS": str(clip),
        "INGEST_FPS": "10",
    }
    ingest = Service("ingest", settings, tmp_path).start()
    try:
        ingest.wait_until_ready()
        wait_until(lambda: ingest.metric("agegender_messages_sent_total") == FRAMES, 30, "all is published")
        with pytest.raises(subprocess.TimeoutExpired):
            ingest.wait(3)
        assert ingest.stop() == 0
    finally:
        ingest.close()
