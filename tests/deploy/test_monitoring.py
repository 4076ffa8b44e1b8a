"""Real services under load and a real Prometheus: every query of every panel, alert and rule has data."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.commands.audit.counters import RECEIVED
from agegender.commands.audit.prometheus import counters_with_history
from tests.support.certificates import Authority
from tests.support.deploy_tools import REPOSITORY
from tests.support.monitored import ALBUM, DOOR, REFUSED, Monitored, monitored
from tests.support.prometheus import Prometheus
from tests.support.redis_server import RedisServer, find_redis_server, running_redis
from tests.support.waiting import wait_until
from tools.dashboards.files import FOLDER
from tools.dashboards.metrics_table import described
from tools.dashboards.rules import Rules

pytestmark = pytest.mark.timeout(240)  # the first test waits until everything is at work

RUNBOOKS = REPOSITORY / "docs" / "runbooks.md"
_CAMERA = f'camera=~"{DOOR}|{REFUSED}|{ALBUM}"'
_COMPARISON = re.compile(r"(?<![=!<>~])(==|!=|<=|>=|<|>)(?![=~])")
_BRACES = re.compile(r"(\{[^}]*\})")
_LABEL_VALUES = re.compile(r"label_values\((?P<series>.+), (?P<label>\w+)\)")


@pytest.fixture(scope="module")
def own_store(authority: Authority) -> Iterator[RedisServer]:
    more = {"maxmemory": "256mb"}
    yield from running_redis(
        lambda: RedisServer(find_redis_server("redis-server"), more_settings=more, authority=authority)
    )


@pytest.fixture(scope="module")
def world(
    kafka: str, own_store: RedisServer, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Monitored]:
    with monitored(kafka, own_store, authority, tmp_path_factory.mktemp("monitored")) as found:
        yield found


def dashboards() -> dict[str, dict[str, Any]]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


def panels() -> Iterator[tuple[str, str]]:
    """The place of each query, and the query."""
    for name, dashboard in dashboards().items():
        for panel in dashboard["panels"]:
            for target in panel.get("targets", ()):
                yield f"{name}: {panel['title']}", target["expr"]
        for one in dashboard["annotations"]["list"]:
            yield f"{name}: {one['name']}", both_sides(one["expr"])
        for variable, series, _ in choices(dashboard):
            yield f"{name}: choice of {variable}", series


def choices(dashboard: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The name of a variable, its series, and the label with its values."""
    for one in dashboard["templating"]["list"]:
        if one["type"] == "query":
            found = _LABEL_VALUES.fullmatch(one["query"]["query"])
            assert found, one["query"]
            yield one["name"], found["series"], found["label"]


def queries_of(dashboard: str, panel: str) -> list[str]:
    with_queries = [one for one in dashboards()[dashboard]["panels"] if "targets" in one]
    (found,) = [one for one in with_queries if one["title"] == panel]
    return [asked(target["expr"]) for target in found["targets"]]


def asked(expr: str) -> str:
    """The query with the variables of a dashboard filled in, and without defaults for missing data."""
    expr = expr.replace("$__rate_interval", "15s").replace('camera="$camera"', _CAMERA)
    return expr.replace(" or vector(0)", "")


def both_sides(expr: str) -> str:
    """An alert's expression with comparisons that are always true: empty if a side has no data.

    This machine has no GPU, so what is asked of one is asked of the CPU.
    """
    for ours, asked_instead in (
        ('device="gpu"', 'device="cpu"'),
        (" or vector(0)", ""),
        ("absent(", "group("),
        (" unless ", " and "),
    ):
        expr = expr.replace(ours, asked_instead)
    parts = _BRACES.split(expr)
    return "".join(part if part.startswith("{") else _COMPARISON.sub(r"\1 bool ", part) for part in parts)


def selectors(expr: str) -> list[str]:
    """Each metric that the expression names, with its labels."""
    rules = Rules.load()
    known = {one.name for one in described()} | rules.records.keys()
    found = re.findall(r"([a-zA-Z_][\w:]*)(\{[^}]*\})?", expr.replace('device="gpu"', 'device="cpu"'))
    return [
        name + labels
        for name, labels in found
        if re.sub(r"_(bucket|sum|count)$", "", name) in known or name in known
    ]


def has_data(prometheus: Prometheus, expr: str) -> bool:
    return any(not math.isnan(float(one["value"][1])) for one in prometheus.query(expr))


def wait_for_data(prometheus: Prometheus, queries: dict[str, str]) -> None:
    """Waits until each query has had data; fails with the queries that had none."""
    missing = dict(queries)

    def all_there() -> bool:
        for where, expr in list(missing.items()):
            if has_data(prometheus, expr):
                del missing[where]
        return not missing

    try:
        wait_until(all_there, 40, "all queries have data")
    except TimeoutError:
        lines = "\n".join(f"{where}: {expr}" for where, expr in missing.items())
        pytest.fail(f"no data for {len(missing)} of {len(queries)}:\n{lines}", pytrace=False)


def test_every_query_of_every_panel_returns_data(world: Monitored) -> None:
    queries = {f"{where} [{number}]": asked(expr) for number, (where, expr) in enumerate(panels())}
    wait_for_data(world.prometheus, queries)


def test_the_queries_of_a_table_have_the_same_labels(
    world: Monitored,
) -> None:
    tables = [
        (name, panel["title"])
        for name, dashboard in dashboards().items()
        for panel in dashboard["panels"]
        if panel["type"] == "table"
    ]
    assert len(tables) >= 2
    for where in tables:
        queries = queries_of(*where)
        wait_for_data(world.prometheus, {query: query for query in queries})
        answers = [one["metric"] for query in queries for one in world.prometheus.query(query)]
        assert len({frozenset(labels) for labels in answers}) == 1, where
        assert "__name__" not in answers[0], where


def test_failed_cameras_and_finished_files_can_be_chosen(world: Monitored) -> None:
    ((_, series, label),) = choices(dashboards()["agegender-camera"])
    wait_until(
        lambda: world.prometheus.labels(series, label) == {DOOR, REFUSED, ALBUM}, 30, "all can be chosen"
    )


@pytest.mark.parametrize(
    ("panel", "own"),
    [
        ("CPU", 'rate(process_cpu_seconds_total{job="agegender"}[15s])'),
        ("Memory", 'process_resident_memory_bytes{job="agegender"}'),
    ],
    ids=["cpu", "memory"],
)
def test_what_a_worker_uses_is_shown_with_its_decoders(world: Monitored, panel: str, own: str) -> None:
    (used,) = queries_of("agegender-resources", panel)
    more = f"({used}) - on (service, instance) {own} > 0"
    wait_until(
        lambda: (
            world.prometheus.labels(used, "service") == set(world.services)
            and world.prometheus.labels(more, "service") == {"ingest"}
        ),
        30,
        "all services are shown, and of ingest more than its own process",
    )


def test_every_recording_rule_gives_data(world: Monitored) -> None:
    wait_for_data(world.prometheus, {name: name for name in Rules.load().records})


def test_every_alert_has_data_on_all_sides_of_its_comparisons(world: Monitored) -> None:
    alerts = Rules.load().alerts
    wait_for_data(world.prometheus, {name: both_sides(expr) for name, expr in alerts.items()})
    wait_for_data(
        world.prometheus,
        {f"{name}: {one}": one for name, expr in alerts.items() for one in selectors(expr)},
    )


def test_the_queries_of_the_runbooks_are_understood(world: Monitored) -> None:
    blocks = re.findall(r"^```promql\n(.*?)^```", RUNBOOKS.read_text(), re.DOTALL | re.MULTILINE)
    queries = [line for block in blocks for line in block.splitlines()]
    assert len(queries) >= 20
    wait_for_data(world.prometheus, {query: both_sides(query) for query in queries})


def test_only_bad_messages_raise_an_alert(world: Monitored) -> None:
    firing = 'ALERTS{alertname="DeadLetters", alertstate="firing"}'
    wait_until(
        lambda: world.prometheus.labels(firing, "service") == {"detect", "classify", "sink"},
        30,
        "the alert fires for the services that were sent bad messages",
    )
    trouble = 'ALERTS{alertname=~"ServiceMissing|PipelineStalled|WorkerDown", alertstate="firing"}'
    assert world.prometheus.query(trouble) == []


def test_the_documented_metrics_are_those_that_are_exported(world: Monitored) -> None:
    found: set[tuple[str, str]] = set()
    labels: dict[str, set[str]] = {}
    for service in world.services:
        for family in text_string_to_metric_families(world.metrics_of(service)):
            if family.name.endswith("_created"):
                continue
            name = family.name + ("_total" if family.type == "counter" else "")
            found.add((name, family.type))
            for sample in family.samples:
                labels.setdefault(name, set()).update(sample.labels.keys() - {"le"})
    assert found == {(one.name, one.kind) for one in described()}
    assert labels == {one.name: set(one.labels) for one in described()}


def test_series_name_service_and_worker_and_none_is_superfluous(world: Monitored) -> None:
    scraped = '{__name__=~"agegender_[^:]*|process_.*", job="agegender"'
    names, ports = set(world.services), {f"127.0.0.1:{one.port}" for one in world.services.values()}
    wait_until(
        lambda: (
            world.prometheus.labels(f"{scraped}}}", "service") == names
            and world.prometheus.labels(f"{scraped}}}", "instance") == ports
        ),
        30,
        "the last scrape of every worker has gone well",
    )
    assert world.prometheus.query(f'{scraped}, exported_service!=""}}') == []
    begun = '{__name__=~"agegender_.*_created"}'
    assert world.prometheus.labels(begun, "__name__") == {"agegender_frames_captured_created"}


def test_the_audit_reads_what_this_prometheus_remembers(world: Monitored) -> None:
    counters = counters_with_history(world.prometheus.url, None, 300)
    assert len(counters.workers) == len(world.services) - 1, "the API is none, and would ask for its token"
    assert counters.total(RECEIVED, service="detect", camera=DOOR) > 0
