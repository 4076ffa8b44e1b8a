"""Metrics carry the names and labels that dashboards and alerts rely on."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from agegender.shared.process.metrics import Metrics


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


def test_two_sets_of_metrics_do_not_disturb_each_other(metrics: Metrics) -> None:
    other = Metrics(CollectorRegistry())
    metrics.received.labels("detect", "cam1", "frame").inc(3)
    assert metrics.total("agegender_messages_received_total") == 3
    assert other.total("agegender_messages_received_total") == 0


def test_the_total_is_the_sum_over_all_labels_but_those_given(metrics: Metrics) -> None:
    metrics.dropped.labels("ingest", "cam1", "busy").inc(2)
    metrics.dropped.labels("ingest", "cam1", "stale").inc(3)
    metrics.dropped.labels("ingest", "cam2", "busy").inc(5)
    name = "agegender_messages_dropped_total"
    assert metrics.total(name) == 10
    assert metrics.total(name, camera="cam1") == 5
    assert metrics.total(name, camera="cam1", reason="busy") == 2
    assert metrics.total(name, camera="cam9") == 0
    assert metrics.total("agegender_of_nothing") == 0


def test_sums_by_label_add_up_to_the_total(metrics: Metrics) -> None:
    metrics.dropped.labels("ingest", "cam1", "busy").inc(2)
    metrics.dropped.labels("ingest", "cam1", "stale").inc(3)
    metrics.dropped.labels("ingest", "cam2", "busy").inc(5)
    name = "agegender_messages_dropped_total"
    assert metrics.by_label(name, "camera") == {"cam1": 5, "cam2": 5}
    assert metrics.by_label(name, "reason", camera="cam1") == {"busy": 2, "stale": 3}


def test_every_name_begins_alike_and_ends_in_what_it_counts(metrics: Metrics) -> None:
    units = ("total", "seconds", "messages", "cameras", "clients", "bool", "bytes", "years", "ratio", "info")
    for family in metrics.registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        assert name.startswith("agegender_")
        assert name.endswith(tuple(f"_{unit}" for unit in units)), name
        assert family.documentation.endswith(".")


def test_labels_are_few_and_never_an_identifier(metrics: Metrics) -> None:
    collectors = [one for one in vars(metrics).values() if hasattr(one, "_labelnames")]
    assert len(collectors) >= 15
    labels = {label for one in collectors for label in one._labelnames}
    of_the_people = {"gender", "age_band"}
    of_the_workings = {"topic", "partition", "step", "device", "nets", "server", "role", "version"}
    assert (
        labels == {"service", "camera", "kind", "reason", "route", "status"} | of_the_people | of_the_workings
    )


def test_what_is_read_from_faces_is_told_of_all_cameras_together(metrics: Metrics) -> None:
    told = (metrics.ages, metrics.confidence, metrics.quality, metrics.results, metrics.visits_closed)
    assert all("camera" not in one._labelnames for one in told)


def test_the_version_is_that_of_the_project(metrics: Metrics) -> None:
    project = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]
    assert metrics.total("agegender_build_info", version=project["version"]) == 1


def test_all_series_of_a_camera_can_be_forgotten(metrics: Metrics) -> None:
    by_camera = [one for one in vars(metrics).values() if "camera" in getattr(one, "_labelnames", ())]
    for one in by_camera:
        one.labels(*("hall" if label == "camera" else "x" for label in one._labelnames))
    metrics.forget_camera("hall")
    assert metrics.sum_by_camera() == {}
    assert [one for one in by_camera if one._metrics] == []
