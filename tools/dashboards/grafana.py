"""Dashboards as Grafana reads them from files: panels laid out in rows of 24 columns.

It writes only the options that these dashboards use. A test checks the files against Grafana's own schema.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from tools.dashboards.panels import DATASOURCE, Json, Panel, panel_json

_SCHEMA_VERSION = 39  # of Grafana 11; later ones read it as well
_COLUMNS = 24
_TAG = "agegender"


@dataclass(frozen=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Variable:
    """A choice at the head of a dashboard: the values of a label."""

    name: str
    title: str
    query: str


@dataclass(frozen=True)
class Dashboard:
    """A page of Grafana; `uid` stands in its address and names its file."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()
    since: str = "now-1h"
    refresh: str = "30s"

    def text(self) -> str:
        """The file."""
        return json.dumps(self._json(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    def _json(self) -> Json:
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [_TAG],
            "schemaVersion": _SCHEMA_VERSION,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,
            "timezone": "browser",
            "time": {"from": self.since, "to": "now"},
            "timepicker": {},
            "refresh": self.refresh,
            "fiscalYearStartMonth": 0,
            "annotations": {"list": [_deployments()]},
            "links": [_menu()],
            "templating": {"list": [_datasource(), *map(_variable, self.variables)]},
            "panels": _laid_out(self.rows),
        }


def _laid_out(rows: Sequence[Row]) -> list[Json]:
    found: list[Json] = []
    y = 0
    for row in rows:
        found.append(_row(row.title, len(found) + 1, y))
        y, x, tallest = y + 1, 0, 0
        for panel in row.panels:
            if x + panel.width > _COLUMNS:
                y, x, tallest = y + tallest, 0, 0
            place = {"x": x, "y": y, "w": panel.width, "h": panel.height}
            found.append(panel_json(panel, len(found) + 1, place))
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest
    return found


def _row(title: str, number: int, y: int) -> Json:
    place = {"x": 0, "y": y, "w": _COLUMNS, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _datasource() -> Json:
    return {
        "type": "datasource",
        "name": "datasource",
        "label": "Prometheus",
        "query": "prometheus",
        "hide": 0,
        "refresh": 1,
        "includeAll": False,
        "multi": False,
        "options": [],
        "regex": "",
    }


def _variable(variable: Variable) -> Json:
    return {
        "type": "query",
        "name": variable.name,
        "label": variable.title,
        "datasource": dict(DATASOURCE),
        "query": {"query": variable.query, "refId": "StandardVariableQuery"},
        "hide": 0,
        "includeAll": False,
        "multi": False,
        "options": [],
        "refresh": 2,
        "regex": "",
        "sort": 1,
    }


def _menu() -> Json:
    """The other dashboards, with the same time."""
    return {
        "type": "dashboards",
        "title": "agegender",
        "tags": [_TAG],
        "asDropdown": True,
        "includeVars": False,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }


def _deployments() -> Json:
    """Marks when workers started."""
    return {
        "name": "Workers started",
        "datasource": dict(DATASOURCE),
        "enable": False,
        "hide": False,
        "iconColor": "blue",
        "expr": 'changes(process_start_time_seconds{job="agegender"}[1m]) > 0',
        "titleFormat": "{{service}}",
        "textFormat": "{{instance}}",
    }
