"""The command as a person types it: real processes, a simulated camera, the embedded store."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

import agegender.commands.demo.demo
from agegender.commands.demo.demo import run_demo
from agegender.shared.process.settings import ProcessSettings
from agegender.simulator.content.scenes import ASTRONAUT, demo_scene, no_faces, pair_scene
from agegender.simulator.rtsp.auth import Login
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.waiting import wait_until

TIMEOUT_S = 60


@pytest.fixture
def store_path() -> Iterator[Path]:
    """A folder with a name short enough for a socket in it."""
    with tempfile.TemporaryDirectory(prefix="agegender-") as folder:
        yield Path(folder)


def _start(store_path: Path, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "agegender", *arguments],
        env={**os.environ, "AGEGENDER_STORE_PATH": str(store_path), "AGEGENDER_HTTP_PORT": "0", **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _run(store_path: Path, *arguments: str, **settings: str) -> tuple[int, str, str]:
    process = _start(store_path, *arguments, **settings)
    out, err = process.communicate(timeout=TIMEOUT_S)
    return process.returncode, out, err


def test_queries_find_the_faces_of_the_demo(store_path: Path) -> None:
    status, out, err = _run(store_path, "demo", "--seconds", "5")
    assert status == 0, err
    assert "frames captured" in out
    assert "capture to store" in out
    assert "query visits" in out

    status, out, err = _run(store_path, "query", "visits", "--json")
    assert status == 0, err
    visits = [json.loads(line) for line in out.splitlines()]
    assert len(visits) == demo_scene().face_count
    assert all(one["closed"] == "left" and one["faces_classified"] > 0 for one in visits)
    status, out, err = _run(store_path, "query", "counts", "--json")
    assert status == 0, err
    assert sum(json.loads(line)["visits"] for line in out.splitlines()) == len(visits)

    status, out, err = _run(store_path, "query", "faces", "demo", "--json", "--limit", "12")
    assert status == 0, err
    records = [json.loads(line) for line in out.splitlines()]
    assert len(records) == 12
    assert all(0 < one["age_years"] < 100 and one["gender"] in ("female", "male") for one in records)
    assert all(0 <= one["delay_s"] < 10 for one in records)

    status, out, _ = _run(store_path, "query", "cameras", "--json")
    assert (status, json.loads(out)["camera_id"]) == (0, "demo")
    status, out, _ = _run(store_path, "query", "faces", "demo")
    assert status == 0
    assert "Latest results of demo" in out


def test_the_demo_fails_when_no_face_gets_a_result(store_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agegender.commands.demo.demo, "demo_scene", no_faces)
    console = Console(file=io.StringIO())
    assert run_demo(console, 4, ProcessSettings(store_path=store_path), threading.Event()) == 1


def test_every_frame_of_a_video_file_has_its_faces(store_path: Path) -> None:
    clip = pair_scene(swapped=False).path
    status, out, err = _run(store_path, "run", str(clip), DETECT_SELECTION="all")
    assert status == 0, err
    status, out, err = _run(store_path, "query", "faces", "cam1", "--json", "--limit", "1000")
    assert status == 0, err
    records = [json.loads(line) for line in out.splitlines()]
    assert len(records) == 2 * 20, "4 s at 5 frames a second, two faces each"
    assert len({one["face_id"] for one in records}) == len(records)
    assert {one["file"] for one in records} == {str(clip)}


def test_a_run_stops_on_sigterm_and_shows_no_password(store_path: Path) -> None:
    with CameraSimulator(login=Login("viewer", "p@ss/w:rd#%")) as simulator:
        simulator.add("door", pair_scene(swapped=False).path)
        process = _start(store_path, "run", simulator.url_with_login("door"), AGEGENDER_LOG_LEVEL="info")
        wait_until(
            lambda: process.poll() is not None or _run(store_path, "query", "faces", "cam1")[0] == 0,
            TIMEOUT_S,
            "a query finds results while the run goes on",
        )
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, err
    assert "frames captured" in out
    assert "camera up" in err
    for secret in ("p@ss/w:rd#%", "p%40ss%2Fw%3Ard%23%25"):
        assert secret not in out + err


def test_a_second_run_is_told_that_the_store_is_in_use(store_path: Path) -> None:
    with CameraSimulator() as simulator:
        url = simulator.add("door", pair_scene(swapped=False).path)
        first = _start(store_path, "run", url)
        try:
            wait_until((store_path / "store.sock").exists, TIMEOUT_S, "the first run has its store")
            status, _, err = _run(store_path, "run", str(ASTRONAUT))
        finally:
            first.terminate()
            first.communicate(timeout=TIMEOUT_S)
    assert status == 2
    assert "REDIS_URL" in err


def test_a_run_that_gets_no_frame_fails_and_says_why(store_path: Path) -> None:
    status, out, err = _run(store_path, "run", str(store_path / "missing.mp4"))
    assert status == 1
    assert "No such file" in out + err


@pytest.mark.parametrize(
    ("arguments", "settings", "told"),
    [
        (["run"], {}, "INGEST_CAMERAS"),
        (["run", "a.mp4", "--cameras", "b.yaml"], {}, "not both"),
        (["run", "a.mp4"], {"INGEST_FPSS": "5"}, "did you mean INGEST_FPS"),
        (["run", "a.mp4"], {"DETECT_MIN_SCORE": "many"}, "DETECT_MIN_SCORE"),
        (["run", "rtsp://user:secret-word@:99999999/x"], {}, "camera 1"),
    ],
)
def test_a_wrong_call_or_setting_is_named_and_starts_nothing(
    store_path: Path, arguments: list[str], settings: dict[str, str], told: str
) -> None:
    status, out, err = _run(store_path, *arguments, **settings)
    assert status == 2, (out, err)
    assert told in err
    assert "secret-word" not in err
    assert not (store_path / "store.sock").exists()


def test_a_query_for_a_camera_without_results_says_so(store_path: Path) -> None:
    status, out, err = _run(store_path, "query", "faces", "unseen")
    assert (status, out) == (1, "")
    assert "unseen" in err
