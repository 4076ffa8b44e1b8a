"""What belongs into the files that are written by code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tools.dashboards.camera import CAMERA
from tools.dashboards.fleet import FLEET
from tools.dashboards.metrics_table import table
from tools.dashboards.models import MODELS
from tools.dashboards.pipeline import PIPELINE
from tools.dashboards.resources import RESOURCES
from tools.dashboards.rules import Rules

_ROOT = Path(__file__).parents[2]
FOLDER = _ROOT / "deploy" / "grafana" / "dashboards"
DASHBOARDS = (FLEET, CAMERA, PIPELINE, MODELS, RESOURCES)
_DOCUMENT = _ROOT / "docs" / "metrics.md"
_BEGIN, _END = "<!-- The table is written by `make dashboards`. -->\n", "<!-- End of the table. -->\n"


def files() -> Mapping[Path, str]:
    """The text of each file; of `docs/metrics.md` only the table is ours."""
    before, _, rest = _DOCUMENT.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    rows = table(DASHBOARDS, Rules.load())
    found = {FOLDER / f"{one.uid}.json": one.text() for one in DASHBOARDS}
    return {**found, _DOCUMENT: f"{before}{_BEGIN}{rows}{_END}{after}"}
