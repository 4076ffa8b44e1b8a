"""The simulated cameras, seen by FFmpeg: an implementation of RTSP that shares nothing with them."""

from __future__ import annotations

import contextlib
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import pytest
from av.container import InputContainer

from agegender.simulator.content.clips import make_clip
from agegender.simulator.rtsp.auth import Login, Scheme
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.waiting import wait_until

FPS = 25
FRAME_S = 1 / FPS
OPTIONS = {"rtsp_transport": "tcp", "analyzeduration": "200000", "timeout": "3000000"}


@dataclass(frozen=True)
class Arrival:
    """One packet: its place in the stream, the camera's wall clock for it, and when it came, in seconds."""

    position_s: float
    captured_s: float | None
    arrived_s: float


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second: a test of a few seconds sees several rounds."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    make_clip(path, [], size_wh=(320, 180), fps=FPS, seconds=1)
    return path


@pytest.fixture
def cameras() -> Iterator[CameraSimulator]:
    with CameraSimulator() as simulator:
        yield simulator


def watch(url: str) -> InputContainer:
    return av.open(url, options=OPTIONS)


def arrivals(container: InputContainer) -> Iterator[Arrival]:
    """Packets as they come. FFmpeg gives the first one no time: it is left out."""
    for packet in container.demux(video=0):
        if packet.pts is None:
            continue
        captured_s = None
        if packet.has_sidedata("prft"):
            captured_s = struct.unpack_from("=q", bytes(packet.get_sidedata("prft")))[0] / 1e6
        yield Arrival(float(packet.pts * packet.time_base), captured_s, time.time())


def take(container: InputContainer, count: int) -> list[Arrival]:
    return [arrival for arrival, _ in zip(arrivals(container), range(count), strict=False)]


def delivers(url: str) -> bool:
    try:
        with watch(url) as container:
            return len(take(container, 2)) == 2
    except OSError:
        return False


def test_a_looping_clip_keeps_its_rate_and_its_clock(cameras: CameraSimulator, clip: Path) -> None:
    with watch(cameras.add("door", clip)) as container:
        seen = take(container, 80)
    steps_s = [later.position_s - earlier.position_s for earlier, later in pairwise(seen)]
    assert steps_s == pytest.approx([FRAME_S] * 79)
    live = seen[-50:]
    assert live[-1].arrived_s - live[0].arrived_s == pytest.approx(49 * FRAME_S, rel=0.15)


def test_every_frame_can_be_decoded(cameras: CameraSimulator, clip: Path) -> None:
    with watch(cameras.add("door", clip)) as container:
        frames = [frame for frame, _ in zip(container.decode(video=0), range(60), strict=False)]
    assert all((frame.width, frame.height, frame.is_corrupt) == (320, 180, False) for frame in frames)
    assert [frame.key_frame for frame in frames].count(True) >= 2


def test_a_client_that_comes_in_between_begins_with_a_keyframe(cameras: CameraSimulator, clip: Path) -> None:
    url = cameras.add("door", clip)
    for _ in range(3):
        with watch(url) as container:
            assert next(container.demux(video=0)).is_keyframe


def test_the_wall_clock_of_a_frame_is_that_of_its_capture(cameras: CameraSimulator, clip: Path) -> None:
    with watch(cameras.add("door", clip)) as container:
        seen = take(container, 100)
    ages_s = [arrival.arrived_s - arrival.captured_s for arrival in seen if arrival.captured_s is not None]
    assert len(ages_s) == 100
    assert -0.01 < min(ages_s) < 1
    captured_s = [arrival.captured_s or 0.0 for arrival in seen]
    assert [later - earlier for earlier, later in pairwise(captured_s)] == pytest.approx(
        [FRAME_S] * 99, abs=1e-3
    )


def test_a_camera_without_a_clock_tells_no_wall_clock(cameras: CameraSimulator, clip: Path) -> None:
    with watch(cameras.add("door", clip, clock=False)) as container:
        seen = take(container, 60)
        assert container.start_time_realtime is None
    assert all(arrival.captured_s is None for arrival in seen)


def test_a_camera_may_tell_the_wall_clock_late(cameras: CameraSimulator, clip: Path) -> None:
    with watch(cameras.add("door", clip, untold_pictures=20)) as container:
        seen = take(container, 80)
    told = [arrival.captured_s is not None for arrival in seen]
    assert not any(told[:18])
    assert told == sorted(told)
    assert told[-1]


@pytest.mark.parametrize("schemes", [("digest", "basic"), ("digest",), ("basic",)])
def test_only_the_right_password_opens_a_camera(clip: Path, schemes: tuple[Scheme, ...]) -> None:
    with CameraSimulator(login=Login("ad min", "p@ss:w/o%rd#?&ß"), schemes=schemes) as cameras:
        url = cameras.add("door", clip)
        assert delivers(cameras.url_with_login("door"))
        for refused in (url, url.replace("//", "//ad%20min:wrong@"), url.replace("//", "//admin:wrong@")):
            with pytest.raises(av.error.HTTPUnauthorizedError):
                watch(refused)


def test_a_path_that_does_not_exist_is_not_found(cameras: CameraSimulator, clip: Path) -> None:
    url = cameras.add("door", clip)
    for wrong in (url + "x", url.replace("/door", "/"), url.replace("/door", "/window")):
        with pytest.raises(av.error.HTTPNotFoundError):
            watch(wrong)


def test_a_client_that_asks_for_udp_first_is_led_to_tcp(cameras: CameraSimulator, clip: Path) -> None:
    with av.open(cameras.add("door", clip), options={"analyzeduration": "200000"}) as container:
        assert len(take(container, 5)) == 5


def test_a_stopped_camera_refuses_clients_until_it_starts(cameras: CameraSimulator, clip: Path) -> None:
    url, other = cameras.add("door", clip), cameras.add("yard", clip)
    with watch(url) as container:
        take(container, 5)
        cameras.stop_camera("door")
        with contextlib.suppress(av.error.FFmpegError):
            assert len(take(container, 1000)) < 100
    with pytest.raises(av.error.ConnectionRefusedError):
        watch(url)
    assert delivers(other)
    cameras.start_camera("door")
    assert delivers(url)


def test_a_stopped_camera_keeps_its_port(cameras: CameraSimulator, clip: Path) -> None:
    port = int(cameras.add("door", clip).split(":")[-1].split("/")[0])
    cameras.stop_camera("door")
    with socket.socket() as thief, pytest.raises(OSError, match="in use"):
        thief.bind(("127.0.0.1", port))


def test_a_stalled_camera_sends_nothing_until_it_resumes(cameras: CameraSimulator, clip: Path) -> None:
    url = cameras.add("door", clip)
    with watch(url) as container:
        before = take(container, 30)[-1]
        cameras.stall("door")
        timer = threading.Timer(1.5, cameras.resume, ["door"])
        timer.start()
        seen = take(container, 30)
        timer.join()
    jump_s = max(later.position_s - earlier.position_s for earlier, later in pairwise([before, *seen]))
    pause_s = max(later.arrived_s - earlier.arrived_s for earlier, later in pairwise([before, *seen]))
    assert 1.0 < pause_s < 4.0
    assert jump_s == pytest.approx(pause_s, abs=0.5)


def test_eight_clients_of_one_camera_all_get_every_frame(cameras: CameraSimulator, clip: Path) -> None:
    url = cameras.add("door", clip)

    def positions(_: int) -> list[float]:
        with watch(url) as container:
            return [arrival.position_s for arrival in take(container, 50)]

    with ThreadPoolExecutor(8) as clients:
        for seen in clients.map(positions, range(8)):
            assert [later - earlier for earlier, later in pairwise(seen)] == pytest.approx([FRAME_S] * 49)


def reply_to(port: int, text: bytes) -> bytes:
    """What comes back for `text`; nothing where the connection was cut."""
    with socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        try:
            client.sendall(text)
            return client.recv(1000)
        except ConnectionError:
            return b""


def test_what_is_not_rtsp_is_answered_and_disturbs_nobody(cameras: CameraSimulator, clip: Path) -> None:
    url = cameras.add("door", clip)
    port = int(url.split(":")[-1].split("/")[0])
    with watch(url) as container:
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 200_000):
            assert reply_to(port, garbage)[:12] in (b"RTSP/1.0 400", b"")
        assert len(take(container, 40)) == 40


def test_names_are_unique_and_fit_for_a_url(cameras: CameraSimulator, clip: Path) -> None:
    cameras.add("door", clip)
    for name in ("door", "", "a b", "a/b", "ä"):
        with pytest.raises(ValueError, match="expected a new name"):
            cameras.add(name, clip)


def test_close_ends_all_cameras_and_can_be_repeated(clip: Path) -> None:
    cameras = CameraSimulator()
    url = cameras.add("door", clip)
    with watch(url) as container:
        take(container, 3)
        cameras.close()
        cameras.close()
    assert "simulated-cameras" not in [thread.name for thread in threading.enumerate()]
    with pytest.raises(av.error.ConnectionRefusedError):
        watch(url)


def test_the_command_serves_until_it_is_told_to_end(clip: Path) -> None:
    command = [sys.executable, "-m", "simulator", str(clip), "--port", "0", "--login", "me:p:w"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[0]
            wait_until(lambda: delivers(url.replace("//", "//me:p%3Aw@")), 10, "the camera delivers")
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
