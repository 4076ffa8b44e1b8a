"""The names of the columns of the page's charts, in any zone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.support.availability import ServerUnavailableError, skip_or_fail

_PAGE = Path(__file__).parents[4] / "services" / "api" / "page"
_NAMES = (
    "import {{ RANGES }} from './ranges.js';"
    "console.log(JSON.stringify(RANGES.day.columns({now_s}).map((one) => one.name)))"
)


def names_of_the_last_hours(folder: Path, zone: str, now: datetime) -> list[str]:
    node = shutil.which("node")
    if node is None:
        skip_or_fail(ServerUnavailableError("node is not on PATH: it runs the code of the page"))
    for name in ("ranges.js", "format.js"):
        shutil.copy(_PAGE / name, folder)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "names.js").write_text(_NAMES.format(now_s=now.timestamp()))
    done = subprocess.run(
        [node, folder / "names.js"],
        env={**os.environ, "TZ": zone, "LC_ALL": "en_GB.UTF-8"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    names = json.loads(done.stdout)
    assert isinstance(names, list)
    return names


def test_each_hour_has_its_own_name_at_the_end_of_summer_time(tmp_path: Path) -> None:
    now = datetime(2026, 10, 25, 12, tzinfo=UTC)
    names = names_of_the_last_hours(tmp_path, "Europe/Berlin", now)
    assert len(set(names)) == len(names) == 24
    assert sum(name.endswith("+02:00") for name in names) == 12
    assert sum(name.endswith("+01:00") for name in names) == 12


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/St_Johns", "UTC"])
def test_the_offset_is_left_out_on_other_days(tmp_path: Path, zone: str) -> None:
    names = names_of_the_last_hours(tmp_path, zone, datetime(2026, 11, 22, 12, tzinfo=UTC))
    assert len(set(names)) == 24
    assert all("+" not in name and (zone == "UTC" or ":30" in name) for name in names)
