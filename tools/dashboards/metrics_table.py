"""The table of all metrics in `docs/metrics.md`: what they are, and which dashboards and alerts use them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase

from agegender.services.ingest.decoder.usage import DecoderUsage
from agegender.shared.process.metrics import Metrics
from agegender.shared.runtime.service import process_registry
from tools.dashboards.grafana import Dashboard
from tools.dashboards.rules import Rules


@dataclass(frozen=True, order=True)
class Described:
    """One metric, by the name that queries call it; a histogram without `_bucket`, `_sum`, `_count`."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


def described() -> Sequence[Described]:
    """All metrics that a service may export, ours first."""
    ours = Metrics(CollectorRegistry())
    found = [_ours(one) for one in vars(ours).values() if isinstance(one, MetricWrapperBase)]
    found += map(_told, DecoderUsage(tuple).describe())
    return [*sorted(found), *sorted(map(_told, process_registry().collect()))]


def _ours(metric: MetricWrapperBase) -> Described:
    kind = str(metric._type)
    name = metric._name + ("_total" if kind == "counter" else "")
    return Described(name, kind, tuple(metric._labelnames), metric._documentation)


def _told(family: Metric) -> Described:
    """One that is no object of ours: it is made anew whenever it is asked for."""
    name = family.name + ("_total" if family.type == "counter" else "")
    labels = {label for sample in family.samples for label in sample.labels}
    return Described(name, family.type, tuple(sorted(labels)), family.documentation)


def table(dashboards: Iterable[Dashboard], rules: Rules) -> str:
    """The table in Markdown."""
    uses = {one.title.removeprefix("agegender: "): _asked(one, rules) for one in dashboards}
    uses |= {f"`{name}`": rules.names_in(expr) for name, expr in rules.alerts.items()}
    lines = ["| metric | type | labels | meaning | used by |", "|---|---|---|---|---|"]
    for one in described():
        labels = ", ".join(f"`{label}`" for label in one.labels)
        used = ", ".join(where for where, names in uses.items() if one.name in names)
        lines.append(f"| `{one.name}` | {one.kind} | {labels} | {one.meaning} | {used or 'none'} |")
    return "\n".join(lines) + "\n"


def _asked(dashboard: Dashboard, rules: Rules) -> frozenset[str]:
    queries = [query.expr for row in dashboard.rows for panel in row.panels for query in panel.queries]
    return frozenset().union(*map(rules.names_in, queries))
