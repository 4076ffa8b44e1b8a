"""The units of systemd and their drop-ins, checked by systemd."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.deploy_tools import DEPLOY, check, program

FOLDER = DEPLOY / "systemd"


def hides_devices(unit: Path) -> bool:
    """Whether the service sees no device of the machine; fails if systemd reports an error in the unit."""
    analyze = program("systemd-analyze", where_from="a Linux with systemd")
    assert check(analyze, "verify", "--man=no", unit) == ""
    settings = json.loads(check(analyze, "security", "--offline=true", "--json=short", unit))
    (found,) = [one["set"] for one in settings if one["name"] == "PrivateDevices="]
    return bool(found)


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    """The unit of a worker, with a program and a user of this machine."""
    text = (FOLDER / "agegender@.service").read_text()
    here = text.replace("/opt/agegender/bin/python", "/usr/bin/env").replace("User=agegender\n", "")
    for name in ("agegender-classify@.service", "agegender-classify@04.service"):
        (tmp_path / name).write_text(here)
    return tmp_path / "agegender-classify@04.service"


def test_a_worker_sees_no_device_unless_the_drop_in_lets_it(worker: Path) -> None:
    assert hides_devices(worker)
    drop_ins = worker.parent / "agegender-classify@.service.d"
    drop_ins.mkdir()
    (drop_ins / "devices.conf").write_text((FOLDER / "devices.conf").read_text())

    assert not hides_devices(worker)
