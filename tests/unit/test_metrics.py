"""Metrics carry the names and labels that dashboards and alerts rely on."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from shared.metrics import Metrics


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
    units = ("_total", "_seconds", "_messages", "_cameras", "_clients", "_bool")
    for family in metrics.registry.collect():
        name = family.name + ("_total" if family.type == "counter" else "")
        assert name.startswith("agegender_")
        assert name.endswith(units), name
        assert family.documentation.endswith(".")


def test_labels_are_few_and_never_an_identifier(metrics: Metrics) -> None:
    collectors = [one for one in vars(metrics).values() if hasattr(one, "_labelnames")]
    assert len(collectors) >= 15
    labels = {label for one in collectors for label in one._labelnames}
    assert labels == {"service", "camera", "kind", "reason", "gender", "age_band", "route", "status"}
