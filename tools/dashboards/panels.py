"""Panels of Grafana: what is asked, and how the answer is drawn.

Colours are names of Grafana's palette and schemes that it turns round on a dark ground, so that both themes
can be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
Kind = Literal["timeseries", "stat", "table", "heatmap", "alertlist", "bargauge", "state-timeline"]

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True)
class Query:
    """What is asked of Prometheus, and what a line of the answer is called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """One picture.

    Args:
        description: what it shows and what is good or bad; Grafana shows it at the title.
        unit: as Grafana calls it: `s`, `percentunit`, `bytes`, `short`, `reqps`.
        thresholds: from which value on which colour; below the first one all is well.
        stacked: lines on top of each other.
        columns: of a table, what to call the value of each query. All its queries give the same labels, and
            no name of a metric: only lines that agree in all of them become one.
        links: a title and an address, opened from a value.
    """

    title: str
    description: str
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    unit: str = "short"
    width: int = 8
    height: int = 8
    thresholds: tuple[tuple[float, str], ...] = ()
    low: float | None = 0
    high: float | None = None
    stacked: bool = False
    columns: tuple[str, ...] = ()
    column_units: Mapping[str, str] = field(default_factory=dict)
    links: tuple[tuple[str, str], ...] = ()
    words: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """What to show instead of a value, and its colour."""


def panel_json(panel: Panel, number: int, place: Mapping[str, int]) -> Json:
    """The panel as it stands in the file, at its place."""
    found: Json = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "gridPos": dict(place),
        "options": _options(panel),
    }
    if panel.kind == "alertlist":
        return found
    found["datasource"] = dict(DATASOURCE)
    found["targets"] = [_target(panel, query, n) for n, query in enumerate(panel.queries)]
    found["fieldConfig"] = {"defaults": _field(panel), "overrides": _overrides(panel)}
    if panel.kind == "table":
        found["transformations"] = _as_one_table(panel)
    return found


def _target(panel: Panel, query: Query, number: int) -> Json:
    is_instant = panel.kind in ("stat", "table", "bargauge")
    return {
        "refId": _letter(number),
        "datasource": dict(DATASOURCE),
        "editorMode": "code",
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        "instant": is_instant,
        "range": not is_instant,
        "format": {"table": "table", "heatmap": "heatmap"}.get(panel.kind, "time_series"),
    }


def _letter(number: int) -> str:
    return chr(ord("A") + number)


def _field(panel: Panel) -> Json:
    steps: list[Json] = [{"color": "green", "value": None}]
    steps += [{"color": color, "value": value} for value, color in panel.thresholds]
    by_threshold = panel.kind in ("stat", "bargauge", "state-timeline", "table")
    found: Json = {
        "unit": panel.unit,
        "color": {"mode": "thresholds" if by_threshold else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": steps},
        "mappings": _mappings(panel),
        "links": [{"title": title, "url": url} for title, url in panel.links],
        "custom": _custom(panel),
    }
    if panel.low is not None and panel.kind != "table":
        found["min"] = panel.low
    if panel.high is not None:
        found["max"] = panel.high
    return found


def _custom(panel: Panel) -> Json:
    match panel.kind:
        case "timeseries":
            return {
                "drawStyle": "line",
                "lineWidth": 1,
                "fillOpacity": 40 if panel.stacked else 10,
                "showPoints": "never",
                "spanNulls": False,
                "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
                "thresholdsStyle": {"mode": "dashed" if panel.thresholds else "off"},
            }
        case "table":
            return {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": True}
        case "state-timeline":
            return {"fillOpacity": 70, "lineWidth": 0}
        case _:
            return {}


def _mappings(panel: Panel) -> list[Json]:
    if not panel.words:
        return []
    options = {
        value: {"text": text, "color": color, "index": number}
        for number, (value, (text, color)) in enumerate(panel.words.items())
    }
    return [{"type": "value", "options": options}]


def _options(panel: Panel) -> Json:
    last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    match panel.kind:
        case "timeseries":
            return {"legend": _legend(shown=True), "tooltip": {"mode": "multi", "sort": "desc"}}
        case "stat":
            return {
                "reduceOptions": last,
                "colorMode": "value" if panel.thresholds or panel.words else "none",
                "graphMode": "none",
                "justifyMode": "auto",
                "orientation": "auto",
                "textMode": "auto",
            }
        case "bargauge":
            return {
                "reduceOptions": last,
                "displayMode": "basic",
                "orientation": "horizontal",
                "showUnfilled": True,
                "valueMode": "color",
            }
        case "table":
            return {"showHeader": True, "cellHeight": "sm"}
        case "heatmap":
            return {
                "calculate": False,
                "cellGap": 1,
                "color": {
                    "mode": "scheme",
                    "scheme": "Oranges",
                    "exponent": 0.5,
                    "steps": 64,
                    "fill": "orange",
                    "reverse": False,
                },
                "yAxis": {"unit": panel.unit, "axisPlacement": "left"},
                "rowsFrame": {"layout": "auto"},
                "legend": {"show": True},
                "tooltip": {"mode": "single", "yHistogram": False},
                "exemplars": {"color": "orange"},
                "filterValues": {"le": 1e-9},
            }
        case "state-timeline":
            return {
                "mergeValues": True,
                "showValue": "never",
                "rowHeight": 0.9,
                "legend": _legend(shown=False),
            }
        case "alertlist":
            states = {"firing": True, "pending": True, "noData": False, "normal": False, "error": True}
            return {
                "alertName": "",
                "dashboardAlerts": False,
                "groupMode": "default",
                "maxItems": 50,
                "sortOrder": 3,
                "stateFilter": states,
                "viewMode": "list",
            }


def _legend(*, shown: bool) -> Json:
    return {"displayMode": "list", "placement": "bottom", "showLegend": shown, "calcs": []}


def _as_one_table(panel: Panel) -> list[Json]:
    """One line for each set of labels, a column for each query."""
    # With a single query Grafana calls the column just so.
    names = (
        ["Value"] if len(panel.queries) == 1 else [f"Value #{_letter(n)}" for n in range(len(panel.queries))]
    )
    rename = dict(zip(names, panel.columns, strict=True))
    hidden = {"Time": True}
    return [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": hidden, "indexByName": {}, "renameByName": rename}},
    ]


def _overrides(panel: Panel) -> list[Json]:
    return [
        {"matcher": {"id": "byName", "options": name}, "properties": [{"id": "unit", "value": unit}]}
        for name, unit in panel.column_units.items()
    ]
