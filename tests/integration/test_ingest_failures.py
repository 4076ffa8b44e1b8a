"""Cameras that fail: each failure has a name, the camera is retried, and others are not affected."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

import agegender.simulator.rtsp.cameras
from agegender.shared.cameras.camera import Camera
from agegender.shared.process.logs import JsonFormatter, TextFormatter
from agegender.simulator.content.clips import write_video
from agegender.simulator.rtsp.auth import Login
from agegender.simulator.rtsp.cameras import CameraSimulator
from agegender.simulator.rtsp.media import AccessUnit, VideoTrack, load_track
from tests.support.bad_servers import hangs_up, sends_noise, speaks_http, tcp_server
from tests.support.ports import free_loopback_port
from tests.support.taking import Taker
from tests.support.waiting import wait_until

SIZE_WH = (320, 180)
PASSWORD = "s3cret@:/%#word"
WRONG = "wr0ng@:/%#word"
PASSWORD_PARTS = ("s3cret", "wr0ng")
RETURN_S = 5.0
FPS = 5

EXPECTED = {
    "wrong-password": "login",
    "no-login": "login",
    "no-password": "login",
    "wrong-path": "not-found",
    "nothing-listens": "refused",
    "never-answers": "unreachable",
    "unknown-host": "unreachable",
    "sends-noise": "not-video",
    "hangs-up": "not-video",
    "speaks-http": "not-video",
    "password-not-set": "settings",
    "login-too-long": "settings",
}


class Kept(logging.Handler):
    """Keeps all records."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def down(self, camera_id: str) -> list[logging.LogRecord]:
        """The records that say that a camera is down."""
        return [
            one
            for one in self.records
            if one.message == "camera down" and vars(one).get("camera") == camera_id
        ]


@contextmanager
def kept_logs() -> Iterator[Kept]:
    kept, root = Kept(), logging.getLogger()
    level = root.level
    root.addHandler(kept)
    root.setLevel(logging.DEBUG)
    try:
        yield kept
    finally:
        root.removeHandler(kept)
        root.setLevel(level)


def threads_of(camera_id: str) -> int:
    return sum(thread.name == f"camera {camera_id}" for thread in threading.enumerate())


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Begins anew, with a keyframe, every fifth of a second."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    pictures = (np.full((SIZE_WH[1], SIZE_WH[0], 3), 40 * n, np.uint8) for n in range(5))
    write_video(path, pictures, size_wh=SIZE_WH, fps=25)
    return path


@dataclass(frozen=True)
class Trouble:
    """One good camera among all the bad ones, after some seconds."""

    taker: Taker
    logs: Kept


@pytest.fixture(scope="module")
def trouble(clip: Path) -> Iterator[Trouble]:
    with ExitStack() as stack:
        simulated = stack.enter_context(CameraSimulator(login=Login("viewer", PASSWORD)))
        shown = simulated.add("good", clip)
        right = simulated.url_with_login("good")
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        noise, gone, http = (
            stack.enter_context(tcp_server(one)) for one in (sends_noise, hangs_up, speaks_http)
        )
        fields: dict[str, dict[str, object]] = {
            "good": {"source": right},
            "wrong-password": {"source": shown, "username": "viewer", "password": WRONG},
            "no-login": {"source": shown},
            "no-password": {"source": shown, "username": "viewer"},
            "wrong-path": {"source": f"{right}-is-not-here"},
            "nothing-listens": {"source": login_at(free_loopback_port())},
            "never-answers": {"source": login_at(silent.getsockname()[1])},
            "unknown-host": {"source": f"rtsp://viewer:{PASSWORD}@no-such-host.invalid/x"},
            "sends-noise": {"source": login_at(noise)},
            "hangs-up": {"source": login_at(gone)},
            "speaks-http": {"source": login_at(http)},
            "password-not-set": {"source": shown, "username": "viewer", "password_env": "NO_SUCH_VARIABLE"},
            "login-too-long": {"source": shown, "username": "viewer", "password": PASSWORD * 8},
        }
        cameras = [Camera.model_validate({"id": name, **given}) for name, given in fields.items()]
        logs = stack.enter_context(kept_logs())
        taker = stack.enter_context(Taker(cameras, fps=FPS, no_frame_s=1, answer_s=1))

        def all_seen() -> bool:
            return len(taker.of("good")) >= 15 and all(
                sum(taker.failures(one).values()) >= 2 for one in EXPECTED
            )

        wait_until(all_seen, 20, "the good camera gave 15 frames and each bad one failed twice")
        yield Trouble(taker, logs)


def login_at(port: int) -> str:
    return f"rtsp://viewer:{PASSWORD}@127.0.0.1:{port}/x"


@pytest.mark.parametrize(("camera_id", "reason"), EXPECTED.items())
def test_each_failure_has_its_name_and_is_logged_once(trouble: Trouble, camera_id: str, reason: str) -> None:
    assert trouble.taker.failures(camera_id).keys() == {reason}
    (record,) = trouble.logs.down(camera_id)
    assert vars(record)["reason"] == reason
    assert vars(record)["source"].startswith("rtsp://")
    assert vars(record)["detail"]
    assert trouble.taker.source.failures[camera_id] == vars(record)["detail"]
    assert not trouble.taker.is_up(camera_id)


def test_instant_failures_are_no_hot_loop(trouble: Trouble) -> None:
    """With waits of 0.25 s at least, then 0.5 s, 1 s and so on."""
    seconds = trouble.taker.of("good")[-1].at_s - trouble.taker.of("good")[0].at_s
    for camera_id in ("nothing-listens", "unknown-host", "sends-noise", "wrong-password"):
        assert sum(trouble.taker.failures(camera_id).values()) <= 3 + seconds


def test_a_good_camera_among_bad_ones_keeps_its_rate(trouble: Trouble) -> None:
    frames = [one.frame for one in trouble.taker.of("good")]
    assert (frames[14].captured_at_s - frames[0].captured_at_s) / 14 == pytest.approx(1 / FPS, rel=0.1)
    assert all(one.age_s < 0.3 for one in trouble.taker.of("good")[3:])
    assert trouble.taker.failures("good") == {}
    assert trouble.taker.is_up("good")
    assert "good" not in trouble.taker.source.failures


def test_no_password_is_in_a_log_a_metric_an_error_or_a_camera(trouble: Trouble) -> None:
    taker, records = trouble.taker, trouble.logs.records
    texts = [
        taker.metrics_text(),
        str(dict(taker.source.failures)),
        *(repr(one) + str(one.model_dump()) + one.model_dump_json() for one in taker.cameras),
        *(str(vars(record)) for record in records),
        *(formatter.format(one) for one in records for formatter in (JsonFormatter(), TextFormatter())),
    ]
    assert len(records) > len(EXPECTED)
    for text in texts:
        assert not any(part in text for part in PASSWORD_PARTS)


def test_frames_flow_within_seconds_of_a_cameras_return(clip: Path) -> None:
    with CameraSimulator() as cameras:
        source = cameras.add("door", clip)
        with Taker([Camera(id="door", source=source)], fps=25) as taker:
            wait_until(lambda: taker.taken, 10, "a frame is taken")
            first = taker.taken[0].frame
            cameras.stop_camera("door")
            wait_until(lambda: not taker.is_up("door"), 5, "the camera is seen to be away")
            # By the fourth refusal the waits have grown to their longest.
            wait_until(lambda: taker.failures("door").get("refused", 0) >= 4, 15, "it is refused four times")
            assert taker.failures("door")["ended"] == 1
            cameras.start_camera("door")
            back_at_s, before = time.monotonic(), len(taker.taken)
            wait_until(lambda: len(taker.taken) > before, RETURN_S, "a frame comes again")
            assert time.monotonic() - back_at_s < RETURN_S
            assert taker.is_up("door")
            assert taker.source.failures == {}
            again = taker.taken[before].frame
            assert again.stream_id > first.stream_id
        assert threads_of("door") == 0
        assert taker.balance("door") == 0


def test_a_stalled_camera_is_reopened_by_one_thread(clip: Path) -> None:
    with CameraSimulator() as cameras:
        source = cameras.add("door", clip)
        with Taker([Camera(id="door", source=source)], fps=25, no_frame_s=1, answer_s=1) as taker:
            wait_until(lambda: taker.taken, 10, "a frame is taken")
            cameras.stall("door")
            stalled_at_s = time.monotonic()
            wait_until(lambda: taker.failures("door"), 4, "the stall is noticed")
            assert 0.9 < time.monotonic() - stalled_at_s < 8
            wait_until(lambda: taker.failures("door").get("no-frame", 0) >= 2, 8, "it is seen once more")
            assert taker.failures("door").keys() == {"no-frame"}
            assert threads_of("door") == 1
            cameras.resume("door")
            before = len(taker.taken)
            wait_until(lambda: len(taker.taken) > before, RETURN_S, "a frame comes again")
        assert threads_of("door") == 0


def test_a_camera_whose_pictures_cannot_be_decoded_is_named(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_track(path: Path) -> VideoTrack:
        track = load_track(path)
        return replace(track, units=tuple(broken(unit) for unit in track.units))

    def broken(unit: AccessUnit) -> AccessUnit:
        rng = np.random.default_rng(0)
        return replace(unit, nals=tuple(nal[:1] + rng.bytes(len(nal)) for nal in unit.nals))

    monkeypatch.setattr(agegender.simulator.rtsp.cameras, "load_track", broken_track)
    with CameraSimulator() as cameras:
        source = cameras.add("door", clip)
        with Taker([Camera(id="door", source=source)], no_frame_s=1, answer_s=1) as taker:
            # Sooner than the watchdog: the stream itself notices, and no thread hangs.
            wait_until(lambda: taker.failures("door").get("no-frame", 0) >= 2, 8, "it failed twice")
        assert taker.failures("door").keys() == {"no-frame"}
        assert taker.taken == []


def test_a_rotated_password_of_a_camera_counts_at_the_next_login(clip: Path, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(WRONG)
    with CameraSimulator(login=Login("viewer", PASSWORD)) as cameras:
        camera = Camera(id="door", source=cameras.add("door", clip), username="viewer", password_file=file)
        with Taker([camera]) as taker:
            wait_until(lambda: taker.failures("door").get("login"), 10, "the camera refuses the login")
            file.write_text(PASSWORD)
            wait_until(lambda: taker.of("door"), 10, "a frame comes")


@pytest.mark.parametrize("state", ["streaming", "stalled", "connecting", "waiting"])
def test_closing_is_prompt_in_every_state(clip: Path, state: str) -> None:
    with ExitStack() as stack:
        cameras = stack.enter_context(CameraSimulator())
        source = cameras.add("door", clip)
        silent = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        if state == "connecting":
            source = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/x"
        if state == "waiting":
            cameras.stop_camera("door")
        # Several, because their closing must not add up.
        several = [Camera(id=f"door{n}", source=source) for n in range(3)]
        taker = stack.enter_context(Taker(several, no_frame_s=300))
        if state in ("streaming", "stalled"):
            wait_until(lambda: all(taker.of(one.id) for one in several), 10, "a frame of each is taken")
        if state == "stalled":
            cameras.stall("door")
        if state == "connecting":
            silent.settimeout(5)
            connections = [stack.enter_context(silent.accept()[0]) for _ in several]
            assert len(connections) == 3
        if state == "waiting":
            wait_until(lambda: all(taker.failures(one.id) for one in several), 10, "they are refused")
        started_s = time.monotonic()
        taker.close()
        assert time.monotonic() - started_s < 8
        assert all(taker.balance(one.id) == 0 for one in several)
        if state in ("streaming", "waiting"):
            assert sum(threads_of(one.id) for one in several) == 0
        stack.close()
        # Those that waited for a silent camera end with its connection.
        wait_until(lambda: sum(threads_of(one.id) for one in several) == 0, 10, "all threads have ended")
