"""`agegender run` without a store that it can use: it ends when told to, and says why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from agegender.shared.process.settings import RedisSettings
from agegender.shared.store import CAMERAS_KEY, connect
from agegender.shared.store.embedded import EmbeddedStore
from agegender.simulator.content.scenes import ASTRONAUT
from tests.support.ports import free_loopback_port
from tests.support.waiting import wait_until

_ROOT = Path(__file__).parents[2]
_WITHIN_S = 30.0


def _started(log: Path, *options: str) -> subprocess.Popen[bytes]:
    outer = {
        name: value for name, value in os.environ.items() if not name.startswith(("AGEGENDER_", "REDIS_"))
    }
    redis = {"REDIS_URL": f"redis://127.0.0.1:{free_loopback_port()}/0", "AGEGENDER_HTTP_PORT": "0"}
    with log.open("wb") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "agegender", "run", str(ASTRONAUT), *options],
            cwd=_ROOT,
            env={**outer, **redis},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
        )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_whose_store_is_away(how: signal.Signals, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with _started(log) as run:
        wait_until(lambda: b"Redis: " in log.read_bytes(), _WITHIN_S, "the run says what it waits for")
        run.send_signal(how)
        status = run.wait(_WITHIN_S)
    said = log.read_text()
    assert status == 1, said
    assert "frames captured" in said
    assert "Traceback" not in said


def test_a_run_whose_store_is_away_ends_in_its_time(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with _started(log, "--seconds", "6") as run:
        status = run.wait(2 * _WITHIN_S)
    said = log.read_text()
    assert status == 1, said
    assert "results not stored" in said


@pytest.mark.parametrize("command", [["run", str(ASTRONAUT)], ["query", "now"]])
def test_an_embedded_store_of_another_version_is_named(command: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with EmbeddedStore(folder) as store, connect(RedisSettings().at(store.url)) as client:
        client.zadd(CAMERAS_KEY, {"door": 1.0})
    outer = {name: value for name, value in os.environ.items() if not name.startswith("REDIS_")}
    done = subprocess.run(
        [sys.executable, "-m", "agegender", *command],
        cwd=_ROOT,
        env={**outer, "AGEGENDER_STORE_PATH": str(folder), "AGEGENDER_HTTP_PORT": "0"},
        capture_output=True,
        text=True,
        timeout=_WITHIN_S,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "delete that folder to start afresh" in done.stderr
    assert str(folder) in done.stderr
