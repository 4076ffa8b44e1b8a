"""Cameras that come, change and go while the others are read."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.services.ingest.assigned_cameras import AssignedCameras
from agegender.services.ingest.camera_source import CameraSource
from agegender.services.ingest.config import IngestSettings
from agegender.services.ingest.reader import always
from agegender.shared.cameras.camera import Camera
from agegender.shared.cameras.record import CameraSettings
from agegender.shared.errors import NotNow
from agegender.shared.kafka.table import KafkaTable
from agegender.shared.kafka.topics import CAMERAS
from agegender.shared.process import removed_series
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import KafkaSettings
from agegender.simulator.content.clips import write_video
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.kafka_frames import until_done
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Begins anew, with a keyframe, every fifth of a second."""
    path = tmp_path_factory.mktemp("clips") / "short.mp4"
    write_video(path, (np.full((90, 160, 3), n * 40, np.uint8) for n in range(5)), size_wh=(160, 90), fps=25)
    return path


@pytest.fixture
def simulator(clip: Path) -> Iterator[CameraSimulator]:
    with CameraSimulator() as cameras:
        for name in ("door", "hall", "yard"):
            cameras.add(name, clip)
        yield cameras


class Source:
    """An open source with cameras that change, and its metrics."""

    def __init__(self, may_read: Callable[[], bool] = always) -> None:
        self.metrics = Metrics(CollectorRegistry())
        self.source = CameraSource((), IngestSettings(), self.metrics, change=True, may_read=may_read)

    def __enter__(self) -> Source:
        self.source.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.source.close()

    def gives(self, *wanted: str) -> None:
        """Waits until frames of exactly these cameras come, of each at least one."""
        self.take()

        def seen() -> bool:
            return self.take() == set(wanted)

        wait_until(seen, 10, f"frames of {wanted} come")

    def take(self) -> set[str]:
        found = {one.origin.split("/")[0] for _ in range(5) for one in self.source.poll(9, 0.1)}
        self.source.commit()
        return found

    @property
    def captured(self) -> float:
        return self.metrics.total("agegender_frames_captured_total")

    @property
    def known(self) -> set[str]:
        return set(self.metrics.by_label("agegender_camera_up_bool", "camera"))


def camera(simulator: CameraSimulator, name: str, **fields: object) -> Camera:
    return Camera.model_validate({"id": name, "source": simulator.url(name), **fields})


def test_cameras_that_stay_are_not_interrupted_by_a_change(simulator: CameraSimulator) -> None:
    door, hall, yard = (camera(simulator, name) for name in ("door", "hall", "yard"))
    with Source() as source:
        assert source.take() == set()
        assert not source.source.exhausted
        source.source.set_cameras([door, hall])
        source.gives("door", "hall")
        source.source.set_cameras([yard, door])
        assert simulator.audience("hall").now == 0
        source.gives("door", "yard")
        assert source.known == {"door", "yard"}
        source.source.set_cameras([])
        source.gives()
        assert source.known == set()
        source.source.set_cameras([door])
        source.gives("door")
    assert simulator.audience("door").admitted == 2
    assert simulator.audience("door").most == 1
    assert not source.source.exhausted


def test_a_changed_camera_is_closed_before_it_is_opened_again(
    simulator: CameraSimulator,
) -> None:
    with Source() as source:
        source.source.set_cameras([camera(simulator, "door"), camera(simulator, "hall")])
        source.gives("door", "hall")
        source.source.set_cameras([camera(simulator, "hall"), camera(simulator, "door", fps=25)])
        source.gives("door", "hall")
        moved = Camera.model_validate({"id": "hall", "source": simulator.url("yard")})
        source.source.set_cameras([moved, camera(simulator, "door", fps=25)])
        wait_until(lambda: simulator.audience("yard").now == 1, 10, "the new place is read")
    assert [simulator.audience(name).admitted for name in ("door", "hall", "yard")] == [2, 1, 1]
    assert [simulator.audience(name).most for name in ("door", "hall", "yard")] == [1, 1, 1]


def test_a_silent_or_absent_camera_does_not_delay_a_change(simulator: CameraSimulator) -> None:
    away = Camera.model_validate({"id": "away", "source": "rtsp://127.0.0.1:1/x"})
    with Source() as source:
        source.source.set_cameras([camera(simulator, "door"), away])
        source.gives("door")
        simulator.stall("door")
        changed = threading.Thread(target=source.source.set_cameras, args=([camera(simulator, "hall")],))
        changed.start()
        changed.join(5)
        assert not changed.is_alive()
        source.gives("hall")


def test_waiting_frames_of_lost_cameras_are_dropped_and_counted(simulator: CameraSimulator) -> None:
    ours = threading.Event()
    ours.set()
    with Source(ours.is_set) as source:
        source.source.set_cameras([camera(simulator, "door")])
        source.gives("door")
        captured = source.metrics.total("agegender_frames_captured_total")
        wait_until(
            lambda: source.metrics.total("agegender_frames_captured_total") > captured,
            5,
            "a frame lies there",
        )
        ours.clear()
        assert source.take() == set()
        dropped = source.metrics.by_label("agegender_messages_dropped_total", "reason")
        assert dropped["stale"] == 1
        wait_until(lambda: simulator.audience("door").now == 0, 5, "the connection is closed")
        ours.set()
        source.gives("door")


def test_a_held_complete_camera_is_closed_and_loses_nothing(
    simulator: CameraSimulator,
) -> None:
    with Source() as source:
        source.source.set_cameras([camera(simulator, "door", mode="complete"), camera(simulator, "hall")])
        source.gives("door", "hall")
        source.source.hold({"door"})
        wait_until(lambda: simulator.audience("door").now == 0, 10, "the camera is closed")
        source.gives("hall")
        source.source.hold(())
        source.gives("door", "hall")
        assert simulator.audience("hall").admitted == 1
        dropped = "agegender_messages_dropped_total"
        assert source.metrics.total(dropped, camera="door") == 0


def test_the_series_of_a_camera_leave_when_it_is_removed(
    kafka: str, random_suffix: str, simulator: CameraSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A camera that only moves to another worker keeps its series here: the audit adds them up."""
    monkeypatch.setattr(removed_series, "_LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(removed_series, "_QUIET_S", 0.5)
    settings = KafkaSettings(
        bootstrap_servers=kafka, topic_prefix=f"{random_suffix}-", camera_partitions=2, session_timeout_s=6
    )
    table, metrics = KafkaTable(CAMERAS, settings, settings.camera_partitions), Metrics(CollectorRegistry())
    cameras = AssignedCameras(IngestSettings(), settings, metrics)

    def captured() -> dict[str, float]:
        with contextlib.suppress(NotNow):
            cameras.poll(9, 0.1)
            cameras.commit()
        return metrics.by_label("agegender_frames_captured_total", "camera")

    until_done(table.open)
    try:
        table.write({one: CameraSettings(id=one, source=simulator.url(one)) for one in ("door", "hall")})
        until_done(cameras.open)
        wait_until(lambda: captured().keys() == {"door", "hall"}, 30, "both cameras are read")
        table.write({"hall": None})
        wait_until(
            lambda: captured() and metrics.sum_by_camera().keys() == {"door"}, 30, "the series have left"
        )
    finally:
        cameras.close()
        table.close()
