"""`agegender cameras` as a person uses it, on a real broker and on cameras that work and that do not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("kafka", reason="the package kafka-python is not installed")

from agegender.cli import app
from agegender.shared.cameras.record import CameraSettings
from agegender.shared.kafka.topics import CAMERAS
from agegender.shared.process.settings import KafkaSettings
from agegender.simulator.content.clips import write_video
from agegender.simulator.rtsp.auth import Login
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.pipeline import read_topic

PASSWORD = "s3cretpw"

Run = Callable[..., Result]

FIRST = """\
cameras:
- {id: door, source: 'rtsp://192.0.2.7/live', username: viewer, password_env: CAMERA_DOOR}
- {id: hall, source: 'rtsp://192.0.2.8/live', fps: 2}
"""
SECOND = """\
cameras:
- {id: hall, source: 'rtsp://192.0.2.8/live', fps: 4}
- {id: yard, source: 'rtsp://192.0.2.9/live', username: viewer, password_file: /run/secrets/yard}
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["cameras", *map(str, arguments)])

    monkeypatch.setenv("AGEGENDER_LOG_LEVEL", "error")
    monkeypatch.setenv("COLUMNS", "200")
    return invoke


@pytest.fixture
def settings(kafka: str, random_suffix: str, monkeypatch: pytest.MonkeyPatch) -> KafkaSettings:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("KAFKA_TOPIC_PREFIX", f"{random_suffix}-")
    monkeypatch.setenv("KAFKA_CAMERA_PARTITIONS", "8")
    return KafkaSettings.load()


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CameraSimulator]:
    clip = tmp_path_factory.mktemp("clips") / "short.mp4"
    pictures = (np.full((360, 640, 3), number * 10, np.uint8) for number in range(25))
    write_video(clip, pictures, size_wh=(640, 360), fps=25)
    with CameraSimulator(login=Login("viewer", PASSWORD)) as cameras:
        for name in ("door", "hall"):
            cameras.add(name, clip)
        cameras.add("yard", clip, clock=False)
        yield cameras


def written(folder: Path, text: str) -> Path:
    path = folder / "cameras.yaml"
    path.write_text(text)
    return path


def listed(run: Run) -> dict[str, dict[str, object]]:
    rows = [json.loads(line) for line in run("list", "--json").stdout.splitlines()]
    return {row["id"]: row for row in rows}


def refused(result: Result) -> str:
    """What the command says when it ends with status 2."""
    assert result.exception is not None
    assert not isinstance(result.exception, SystemExit), result.output
    assert PASSWORD not in str(result.exception) + result.output
    return str(result.exception)


def test_a_file_is_applied_changed_and_pruned(run: Run, settings: KafkaSettings, tmp_path: Path) -> None:
    path = written(tmp_path, FIRST)
    shown = run("apply", path, "--dry-run")
    assert "+ door  rtsp://192.0.2.7/live, login viewer, password in $CAMERA_DOOR" in shown.stdout
    assert "Nothing was written" in shown.stderr
    assert listed(run) == {}
    assert "no cameras" in run("list").stderr
    assert run("apply", path).stdout == shown.stdout
    assert "Nothing changes" in run("apply", path).stderr
    written(tmp_path, SECOND)
    changed = run("apply", path)
    assert changed.exit_code == 0
    assert changed.stdout.splitlines()[0] == "~ hall  fps: 2.0 → 4.0"
    assert "left as they are (--prune removes them): door" in changed.stderr
    assert listed(run).keys() == {"door", "hall", "yard"}
    assert run("apply", path, "--prune").stdout.splitlines() == ["- door"]
    assert listed(run).keys() == {"hall", "yard"}
    assert listed(run)["yard"]["password_file"] == "/run/secrets/yard"
    assert settings.topic_prefix


def test_cameras_are_added_changed_and_removed_one_by_one(run: Run, settings: KafkaSettings) -> None:
    login = ("--username", "viewer", "--password-env", "CAMERA_DOOR")
    assert run("add", "door", "rtsp://h/live", *login).exit_code == 0
    assert "Nothing changes" in run("add", "door", "rtsp://h/live", *login).stderr
    assert "--replace changes it" in refused(run("add", "door", "rtsp://h/other"))
    assert run("add", "door", "rtsp://h/other", "--fps", "2", "--replace").exit_code == 0
    assert "'live' or 'complete'" in refused(run("add", "hall", "rtsp://h/hall", "--mode", "all"))
    changed = ("--mode", "complete", "--smallest-face-px", "64", "--replace")
    assert "smallest_face_px: none → 64" in run("add", "door", "rtsp://h/other", *changed, "--dry-run").stdout
    assert run("add", "door", "rtsp://h/other", *changed).exit_code == 0
    assert listed(run)["door"]["mode"] == "complete"
    assert listed(run)["door"]["smallest_face_px"] == 64
    table = run("list").stdout
    assert "64 px" in table
    assert "complete" in table
    assert "rtsp://h/other" in table
    assert "CAMERA_DOOR" not in table
    assert "no such camera: hall" in refused(run("remove", "door", "hall"))
    assert run("remove", "door", "--dry-run").stdout == "- door\n"
    assert listed(run).keys() == {"door"}
    assert run("remove", "door").exit_code == 0
    assert listed(run) == {}
    assert settings.topic_prefix


def test_no_secret_is_ever_written(run: Run, settings: KafkaSettings, tmp_path: Path) -> None:
    with_password = f"rtsp://viewer:{PASSWORD}@192.0.2.7/live"
    assert "a password never enters Kafka" in refused(run("add", "door", with_password))
    path = written(tmp_path, f"{FIRST}- {{id: gate, source: '{with_password}'}}\n")
    assert "camera gate: a password never enters Kafka" in refused(run("apply", path))
    in_query = f"rtsp://192.0.2.7/live?user=viewer&password={PASSWORD}"
    assert "seems to hold a secret" in refused(run("add", "door", in_query))
    secret_file = tmp_path / "password"
    secret_file.write_text(PASSWORD)
    login = ("--username", "viewer", "--password-file", secret_file)
    assert run("add", "door", "rtsp://192.0.2.7/live", *login).exit_code == 0
    records = read_topic(settings.bootstrap_servers, settings.topic_prefix + CAMERAS.name)
    (record,) = records
    assert isinstance(CAMERAS.codec.decode(record), CameraSettings)
    assert PASSWORD.encode() not in record.key + record.value + b"".join(data for _, data in record.headers)


def test_a_file_is_validated_without_any_network(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "192.0.2.1:9092")
    monkeypatch.setenv("CAMERA_DOOR", "x")
    good = run("validate", written(tmp_path, FIRST), "--kafka")
    assert (good.exit_code, good.stdout) == (0, "2 cameras: `agegender cameras apply` accepts the file.\n")
    monkeypatch.delenv("CAMERA_DOOR")
    more = f"""\
- {{id: yard, source: 'rtsp://192.0.2.8/live', username: u, password_file: {tmp_path}/none}}
- {{id: gate, source: 'rtsp://u:{PASSWORD}@192.0.2.9/live'}}
"""
    result = run("validate", written(tmp_path, FIRST + more), "--kafka")
    assert result.exit_code == 1
    gate, door, yard, twice, told = result.stdout.splitlines()
    assert "CAMERA_DOOR is not set here" in door
    assert "cannot be read here" in yard
    assert "a password never enters Kafka" in gate
    assert twice == "hall and yard have the same source"
    assert told == "4 cameras, and 1 cannot go into Kafka."
    assert PASSWORD not in result.output
    assert "camera 1: fsp" in refused(
        run("validate", written(tmp_path, "cameras:\n- {id: a, source: 'rtsp://h', fsp: 1}"))
    )


def test_cameras_are_probed_at_the_same_time(
    run: Run, simulator: CameraSimulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMERA_RIGHT", PASSWORD)
    monkeypatch.setenv("CAMERA_WRONG", "wr0ngpw")
    right = {"username": "viewer", "password_env": "CAMERA_RIGHT"}
    door, hall, yard = (simulator.url(name) for name in ("door", "hall", "yard"))
    cameras = [
        {"id": "good", "source": door, **right},
        {"id": "no-clock", "source": yard, **right},
        {"id": "wrong", "source": door, "username": "viewer", "password_env": "CAMERA_WRONG"},
        {"id": "missing", "source": door},
        {"id": "unset", "source": door, "username": "viewer", "password_env": "CAMERA_NOT_SET"},
        {"id": "path", "source": door + "x", **right},
        {"id": "away", "source": f"rtsp://127.0.0.1:1/user=viewer_password={PASSWORD}_channel=1"},
        {"id": "silent", "source": hall, **right},
    ]
    simulator.stall("hall")
    result = run(
        "probe",
        written(tmp_path, json.dumps({"cameras": cameras})),
        "--seconds",
        "3",
        "--answer-seconds",
        "3",
        "--json",
    )
    found = {row["camera_id"]: row for row in map(json.loads, result.stdout.splitlines())}
    assert list(found) == [one["id"] for one in cameras]
    assert result.exit_code == 1
    assert PASSWORD not in result.output
    good = found["good"]
    assert (good["ok"], good["login"], good["codec"]) == (True, "accepted", "h264")
    assert (good["width_px"], good["height_px"]) == (640, 360)
    assert good["fps"] == pytest.approx(25, rel=0.05)
    assert good["keyframe_s"] == pytest.approx(1, rel=0.05)
    assert good["bytes_per_s"] > 100
    assert good["clock"] == "camera"
    assert 0 <= good["clock_skew_s"] < 1
    assert good["first_frame_s"] > 0
    assert good["warnings"] == []
    assert (found["no-clock"]["clock"], found["no-clock"]["clock_skew_s"]) == ("arrival", None)
    assert {i: (row["reason"], row["login"]) for i, row in found.items() if not row["ok"]} == {
        "wrong": ("login", "refused"),
        "missing": ("login", "missing"),
        "unset": ("settings", "unknown"),
        "path": ("not-found", "unknown"),
        "away": ("refused", "unknown"),
        "silent": ("no-frame", "accepted"),
    }


def test_a_camera_is_probed_by_url_name_or_file(
    run: Run,
    settings: KafkaSettings,
    simulator: CameraSimulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CAMERA_RIGHT", PASSWORD)
    by_url = run("probe", simulator.url_with_login("door"), "--seconds", "1")
    assert by_url.exit_code == 0
    assert PASSWORD not in by_url.output
    assert "works" in by_url.stdout
    assert "login: accepted" in by_url.stdout
    assert "h264, 640 x 360 px" in by_url.stdout
    assert "the camera's own" in by_url.stdout
    run("add", "door", simulator.url("door"), "--username", "viewer", "--password-env", "CAMERA_RIGHT")
    by_name = run("probe", "door", "--seconds", "1")
    assert by_name.exit_code == 0
    assert by_name.stdout.startswith("door  works")
    assert "no camera in Kafka has this name" in refused(run("probe", "hall"))
    tiny = tmp_path / "tiny.mp4"
    write_video(tiny, (np.zeros((90, 160, 3), np.uint8) for _ in range(8)), size_wh=(160, 90), fps=2)
    by_path = run("probe", tiny)
    assert by_path.exit_code == 0
    assert "160 x 90 pixels are few" in by_path.stdout
    assert "only 2.0 frames a second" in by_path.stdout
    absent = run("probe", tmp_path / "none.mp4")
    assert absent.exit_code == 1
    assert "cannot be read: No such file" in absent.stdout
    assert settings.topic_prefix
