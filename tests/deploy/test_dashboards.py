"""The dashboards and the table of metrics are those that the code writes, and are consistent."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
import yaml

from tests.support.deploy_tools import DEPLOY
from tools.dashboards.files import DASHBOARDS, FOLDER, files
from tools.dashboards.metrics_table import described
from tools.dashboards.rules import Rules

LOADED = [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]
NAMES = [str(one["uid"]) for one in LOADED]


def test_the_committed_files_are_those_that_the_code_writes() -> None:
    for path, text in files().items():
        assert path.read_text() == text, f"{path.name} differs: make dashboards"
    assert {path.name for path in FOLDER.glob("*.json")} == {f"{one.uid}.json" for one in DASHBOARDS}


@pytest.mark.parametrize("dashboard", LOADED, ids=NAMES)
def test_panels_do_not_overlap_and_stay_on_the_page(dashboard: dict[str, Any]) -> None:
    covered: Counter[tuple[int, int]] = Counter()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        covered.update(
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        )
    assert max(covered.values()) == 1
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


@pytest.mark.parametrize("dashboard", LOADED, ids=NAMES)
def test_every_panel_has_a_description_and_known_metrics(dashboard: dict[str, Any]) -> None:
    rules = Rules.load()
    known = {one.name for one in described()} | rules.records.keys() | {"ALERTS"}
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            continue
        assert panel["description"].endswith("."), panel["title"]
        if panel["type"] == "alertlist":
            continue
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            assert rules.names_in(target["expr"]) & known, target["expr"]
        if panel["type"] == "table":
            (rename,) = [one["options"] for one in panel["transformations"] if one["id"] == "organize"]
            assert len(rename["renameByName"]) == len(panel["targets"])


def test_the_link_of_a_camera_opens_its_dashboard() -> None:
    by_uid = dict(zip(NAMES, LOADED, strict=True))
    links = [
        link["url"]
        for panel in by_uid["agegender-fleet"]["panels"]
        for link in panel.get("fieldConfig", {}).get("defaults", {}).get("links", [])
    ]
    assert links == ["/d/agegender-camera?var-camera=${__data.fields.camera}&${__url_time_range}"]
    assert "camera" in [one["name"] for one in by_uid["agegender-camera"]["templating"]["list"]]


def test_grafana_has_the_datasource_and_the_folder() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["type"] == "prometheus"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "agegender.yml").read_text())["providers"]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
