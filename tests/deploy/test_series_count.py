"""The number of series of a fleet, as `docs/metrics.md` says."""

from __future__ import annotations

import re
from itertools import product

from prometheus_client import CollectorRegistry, Histogram

from agegender.services.ingest.sources.stream import FailureReason
from agegender.shared.messages.pipeline import AGE_BANDS
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.loop_time import LOOP_STEPS
from agegender.shared.runtime.stage import DropReason, SkipReason
from tests.support.deploy_tools import REPOSITORY

CAMERAS = 500
PARTITIONS = 12
GENDERS = ("female", "male", "unknown")
KINDS = {
    "ingest": (("captured_frame",), ("frame",)),
    "detect": (("frame",), ("face", "track_update")),
    "classify": (("face", "track_update"), ("result", "track_update")),
    "sink": (("result", "track_update"), ("result", "track_update")),
}
TOPICS = {"detect": "frames", "classify": "faces", "sink": "results"}


def worker(service: str) -> int:
    """The number of series of one worker that has seen all cameras in every state."""
    metrics = Metrics(CollectorRegistry())
    cameras = [f"camera-{number}" for number in range(CAMERAS)]
    _of_any_worker(metrics, service, cameras)
    if service == "ingest":
        for camera in cameras:
            metrics.captured.labels(camera)
            metrics.camera_up.labels(camera)
            metrics.clock_skew.labels(camera)
            metrics.decoder_skipped.labels(camera)
        for camera, why in product(cameras, FailureReason):
            metrics.camera_failures.labels(camera, why.value)
    if service == "detect":
        for camera, reason in product(cameras, SkipReason):
            metrics.skipped.labels(camera, reason.value)
        for camera in cameras:
            metrics.still.labels(camera)
    if service == "sink":
        for camera in cameras:
            for counter in (metrics.repeats, metrics.late, metrics.visits):
                counter.labels(camera)
        for gender, band in product(GENDERS, AGE_BANDS):
            metrics.results.labels(gender, band)
            for how in ("left", "timed-out"):
                metrics.visits_closed.labels(gender, band, how)
        for gender in GENDERS:
            metrics.confidence.labels(gender)
    samples = [sample.name for family in metrics.registry.collect() for sample in family.samples]
    return len([name for name in samples if not name.endswith("_created") or "frames_captured" in name])


def _of_any_worker(metrics: Metrics, service: str, cameras: list[str]) -> None:
    received, sent = KINDS[service]
    for camera in cameras:
        for kind in received:
            metrics.received.labels(service, camera, kind)
        for kind in sent:
            metrics.sent.labels(service, camera, kind)
    if service in ("ingest", "detect"):
        for camera, reason in product(cameras, DropReason):
            metrics.dropped.labels(service, camera, reason.value)
    else:
        for camera in cameras:
            metrics.dropped.labels(service, camera, DropReason.DELETED.value)
    for by_service in (metrics.bad, metrics.retries, metrics.ready, metrics.batch_limit):
        by_service.labels(service)
    for histogram in (metrics.batch_size, metrics.stage_seconds, metrics.delay):
        histogram.labels(service)
    for step in LOOP_STEPS:
        metrics.loop_seconds.labels(service, step)
    for partition in range(PARTITIONS if service in TOPICS else 0):
        metrics.lag.labels(service, TOPICS[service], str(partition))


def test_the_page_gives_the_most_series_of_500_cameras() -> None:
    text = (REPOSITORY / "docs" / "metrics.md").read_text()
    (row,) = re.findall(r"^\| series of one worker, at most \|(.*)\|$", text, re.MULTILINE)
    said = [int(number.replace(",", "")) for number in row.split("|")]
    for service, most in zip(KINDS, said, strict=True):
        assert worker(service) <= most <= 1.5 * worker(service), service
    (total,) = re.findall(r"([\d,]+) series", text)
    assert int(total.replace(",", "")) == sum(said)


def test_no_histogram_is_told_by_camera() -> None:
    metrics = Metrics(CollectorRegistry())
    histograms = [one for one in vars(metrics).values() if isinstance(one, Histogram)]
    assert len(histograms) >= 6
    assert all("camera" not in one._labelnames for one in histograms)
