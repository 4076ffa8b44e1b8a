"""The dashboards fit Grafana's own types, for each kind of panel that they use."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.deploy_tools import check, program, run
from tools.dashboards.files import FOLDER

_LOCKED = Path(__file__).with_name("grafana_schema")
_TYPES = "./node_modules/@grafana/schema/dist/types/raw"
_MODULES = {
    "bargauge": "bargauge",
    "heatmap": "heatmap",
    "stat": "stat",
    "state-timeline": "statetimeline",
    "table": "table",
    "timeseries": "timeseries",
}
_WITH_FIELDS = ("state-timeline", "timeseries")
_HEAD = """
type Loose<T> = T extends string ? `${T}` : T extends number | boolean | null | undefined ? T
  : T extends Array<infer U> ? Loose<U>[] : T extends object ? {[K in keyof T]: Loose<T[K]>} : T;
// What an annotation asks depends on its datasource, of which these types know nothing.
type Page = Loose<Omit<Dashboard, "annotations">> & {annotations: unknown};
"""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with Grafana's types and the compiler, at the versions of the lock."""
    npm = program("npm", where_from="Debian: apt-get install npm")
    folder = tmp_path_factory.mktemp("schema")
    for file in _LOCKED.iterdir():
        shutil.copy(file, folder)
    check(npm, "ci", "--no-audit", "--no-fund", folder=folder, environment=dict(os.environ))
    return folder


def constants(number: int, dashboard: dict[str, Any]) -> list[str]:
    """The dashboard and the parts of its panels, as typed constants."""
    found = [f"const page{number}: Page = {json.dumps(dashboard)};"]
    for panel in dashboard["panels"]:
        module = _MODULES.get(panel["type"])
        name = f"{number}_{panel['id']}"
        if module is not None:
            options = json.dumps(panel["options"])
            found.append(f"const options{name}: Partial<Loose<{module}.Options>> = {options};")
        if panel["type"] in _WITH_FIELDS:
            custom = json.dumps(panel["fieldConfig"]["defaults"]["custom"])
            found.append(f"const custom{name}: Partial<Loose<{module}.FieldConfig>> = {custom};")
    return found


def compiled(workshop: Path, dashboards: list[dict[str, Any]]) -> str:
    """The errors of the compiler; empty if there are none."""
    lines = [f'import type {{Dashboard}} from "{_TYPES}/dashboard/x/types.gen";']
    lines += [
        f'import type * as {module} from "{_TYPES}/composable/{module}/panelcfg/x/types.gen";'
        for module in sorted(_MODULES.values())
    ]
    lines.append(_HEAD)
    for number, dashboard in enumerate(dashboards):
        lines += constants(number, dashboard)
    (workshop / "check.ts").write_text("\n".join(lines))
    options = (
        "--noEmit",
        "--strict",
        "--skipLibCheck",
        "--moduleResolution",
        "bundler",
        "--module",
        "esnext",
    )
    return run(workshop / "node_modules" / ".bin" / "tsc", *options, "check.ts", folder=workshop).stdout


def loaded() -> list[dict[str, Any]]:
    return [json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]


def test_the_dashboards_are_what_grafana_expects(workshop: Path) -> None:
    found = loaded()
    kinds = {panel["type"] for dashboard in found for panel in dashboard["panels"]}
    assert kinds - _MODULES.keys() == {"row", "alertlist"}, "these two have no types of their own"
    assert compiled(workshop, found) == ""


def test_a_misspelt_option_is_found(workshop: Path) -> None:
    (first, *_) = loaded()
    panel = next(one for one in first["panels"] if one["type"] == "timeseries")
    panel["options"]["legent"] = panel["options"].pop("legend")
    assert "legent" in compiled(workshop, [first])
