"""Simulated cameras, their table in Kafka, and the ingest workers that share them, as processes."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from pathlib import Path

import numpy as np

from agegender.shared.cameras.record import CameraSettings
from agegender.shared.kafka.table import KafkaTable
from agegender.shared.kafka.topics import CAMERAS, FRAMES
from agegender.shared.process.settings import KafkaSettings
from agegender.simulator.content.clips import write_video
from agegender.simulator.rtsp.auth import Login
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.pipeline import read_topic
from tests.support.services import Service
from tests.support.waiting import wait_until

CAMERA_PASSWORD = "s3cretpw"


def short_clip(folder: Path) -> Path:
    """A clip that begins anew, with a keyframe, every fifth of a second."""
    path = folder / "short.mp4"
    write_video(path, (np.full((90, 160, 3), n * 40, np.uint8) for n in range(5)), size_wh=(160, 90), fps=25)
    return path


class CameraSite:
    """Cameras, a table of them in Kafka, and the workers that read them.

    Args:
        kafka: the settings of all workers.
        clip: what each camera plays.
        folder: holds the logs of the workers.
    """

    def __init__(self, kafka: KafkaSettings, clip: Path, folder: Path) -> None:
        self.kafka = kafka
        self.simulator = CameraSimulator(login=Login("viewer", CAMERA_PASSWORD))
        self.table: KafkaTable[CameraSettings] = KafkaTable(CAMERAS, kafka, kafka.camera_partitions)
        self._clip = clip
        self._folder = folder
        self.workers: list[Service] = []

    def add(self, *names: str, **fields: object) -> None:
        """Puts cameras up, where they are new, and into the table."""
        settings = {}
        for name in names:
            with contextlib.suppress(ValueError):  # it is up already
                self.simulator.add(name, self._clip)
            login = {"username": "viewer", "password_env": "CAMERA_PASSWORD"}
            settings[name] = CameraSettings.model_validate(
                {"id": name, "source": self.simulator.url(name), **login, **fields}
            )
        self.table.write(settings)

    def start_worker(self) -> Service:
        """Another worker; it is ready once it is a member of the group."""
        folder = self._folder / f"worker{len(self.workers)}"
        folder.mkdir()
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka.bootstrap_servers,
            "KAFKA_TOPIC_PREFIX": self.kafka.topic_prefix,
            "KAFKA_PARTITIONS": "2",
            "KAFKA_SESSION_TIMEOUT_S": str(self.kafka.session_timeout_s),
            "KAFKA_CAMERA_PARTITIONS": str(self.kafka.camera_partitions),
            "KAFKA_REPLICATION": str(self.kafka.replication),
            "CAMERA_PASSWORD": CAMERA_PASSWORD,
        }
        worker = Service("ingest", settings, folder).start()
        self.workers.append(worker)
        return worker

    def viewers(self, *names: str) -> list[int]:
        """How many connections each camera has now."""
        return [self.simulator.audience(name).now for name in names]

    def most(self, *names: str) -> list[int]:
        """How many connections each camera had at most at a time."""
        return [self.simulator.audience(name).most for name in names]

    def admitted(self, *names: str) -> list[int]:
        """How many connections each camera had in all."""
        return [self.simulator.audience(name).admitted for name in names]

    def wait_until_held(self, *numbers: int, timeout_s: float = 30) -> None:
        """Waits until the running workers hold so many cameras each, and each camera has one connection."""

        def held() -> bool:
            cameras = [one.metric("agegender_held_cameras") for one in self.workers if one.running]
            return sorted(cameras) == sorted(numbers)

        wait_until(held, timeout_s, f"the workers hold {numbers} cameras")

    def wait_until_pulled(self, *names: str, timeout_s: float = 10) -> None:
        """Waits until each of these cameras has exactly one connection."""
        wait_until(lambda: self.viewers(*names) == [1] * len(names), timeout_s, f"{names} are pulled")

    def streams(self) -> dict[str, list[str]]:
        """Camera → the streams of which frames were published, in order."""
        found: dict[str, list[str]] = defaultdict(list)
        for record in read_topic(self.kafka.bootstrap_servers, self.kafka.topic_prefix + FRAMES.name):
            frame = FRAMES.codec.decode(record)
            if frame.info.stream_id not in found[frame.camera_id][-1:]:
                found[frame.camera_id].append(frame.info.stream_id)
        return found

    def close(self) -> None:
        for worker in self.workers:
            worker.close()
        self.table.close()
        self.simulator.close()
