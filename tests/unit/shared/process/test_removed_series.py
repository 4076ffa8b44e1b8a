"""The series of a removed camera leave the metrics once they are quiet."""

from __future__ import annotations

from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from agegender.shared.process.metrics import Metrics
from agegender.shared.process.removed_series import RemovedSeries


@dataclass
class _Site:
    """A worker with series of two cameras. `hall` is removed."""

    now_s: float = 0.0
    metrics: Metrics = field(default_factory=lambda: Metrics(CollectorRegistry()))

    def __post_init__(self) -> None:
        self.series = RemovedSeries(self.metrics, monotonic=lambda: self.now_s)
        for camera in ("door", "hall"):
            self.metrics.captured.labels(camera).inc(7)
            self.metrics.camera_failures.labels(camera, "ended").inc()
            self.metrics.camera_up.labels(camera).set(0)

    def sweep_for(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now_s += 1
            self.series.sweep({"hall", "never-here"})


def test_all_series_of_a_removed_camera_leave() -> None:
    site = _Site()
    site.sweep_for(60)
    assert site.metrics.sum_by_camera().keys() == {"door"}
    assert site.metrics.total("agegender_frames_captured_total") == 7


def test_series_stay_while_messages_of_the_camera_are_on_their_way() -> None:
    site = _Site()
    for _ in range(6):
        site.sweep_for(10)
        site.metrics.received.labels("detect", "hall", "frame").inc()
    assert site.metrics.total("agegender_messages_received_total", camera="hall") == 6
    site.sweep_for(60)
    assert site.metrics.sum_by_camera().keys() == {"door"}


def test_a_camera_that_comes_back_begins_at_zero() -> None:
    site = _Site()
    site.sweep_for(60)
    site.metrics.captured.labels("hall").inc()
    for _ in range(60):
        site.now_s += 1
        site.series.sweep(set())
    assert site.metrics.by_label("agegender_frames_captured_total", "camera") == {"door": 7, "hall": 1}
