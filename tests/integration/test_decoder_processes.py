"""The processes of decoders: they end with their worker, keep no secret, and are replaced when they die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from agegender.services.ingest import camera_source
from agegender.services.ingest.decoder import client as decoders
from agegender.services.ingest.decoder.child import MAX_MEMORY_BYTES
from agegender.services.ingest.reader import ReaderSettings
from agegender.shared.cameras.camera import Camera
from agegender.shared.images.pictures import UnreadablePicture
from agegender.shared.runtime.backoff import Backoff
from agegender.simulator.rtsp.auth import Login
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support import decoder_processes
from tests.support.bad_servers import hangs_up, speaks_http, tcp_server
from tests.support.decoder_processes import children, hosts, on_linux
from tests.support.misbehaving import clips
from tests.support.ports import free_loopback_port
from tests.support.taking import Taker
from tests.support.waiting import wait_until

pytestmark = on_linux

_ROOT = Path(__file__).parents[2]
PASSWORD = "s3cret-of-the-door"
RECONNECTS = 1_000
CPU, MEMORY = "agegender_decoder_cpu_seconds_total", "agegender_decoder_memory_bytes"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return clips(tmp_path_factory.mktemp("clips"))[0]


@pytest.fixture
def simulator(clip: Path) -> Iterator[CameraSimulator]:
    with CameraSimulator(login=Login("viewer", PASSWORD)) as simulated:
        for name in ("door", "hall", "yard"):
            simulated.add(name, clip)
        yield simulated


@pytest.fixture
def cameras(simulator: CameraSimulator, monkeypatch: pytest.MonkeyPatch) -> list[Camera]:
    monkeypatch.setenv("CAMERA_PASSWORD", PASSWORD)
    login = {"username": "viewer", "password_env": "CAMERA_PASSWORD"}
    return [Camera.model_validate({"id": f"cam-{n}", "source": simulator.url(n), **login}) for n in NAMES]


NAMES = ("door", "hall", "yard")


def all_up(taker: Taker) -> None:
    wait_until(lambda: all(taker.is_up(one.id) for one in taker.cameras), 20, "all cameras are up")


def is_gone(pid: int) -> bool:
    """Whether a process has ended; it may still have to be waited for."""
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def test_a_large_picture_is_shrunk_before_the_worker_holds_it(cameras: list[Camera]) -> None:
    with Taker(cameras[:1], longer_side_px=160) as taker:
        wait_until(lambda: taker.taken, 20, "a picture is taken")
        picture = taker.taken[0].frame.picture
    assert not isinstance(picture, UnreadablePicture)
    assert max(picture.shape) == 160


_WORKER = """
import sys, time
from agegender.shared.cameras.camera import cameras_from_sources
from tests.support.taking import Taker
with Taker(cameras_from_sources(sys.stdin.read().split()), no_frame_s=300):
    time.sleep(60)
"""


@pytest.mark.parametrize("waits", [False, True])
def test_no_process_outlives_a_worker_that_is_killed(simulator: CameraSimulator, *, waits: bool) -> None:
    """Also no decoder that would notice nothing for a long time, as its camera sends nothing."""
    sources = " ".join(simulator.url_with_login(one) for one in NAMES)
    with subprocess.Popen([sys.executable, "-c", _WORKER], cwd=_ROOT, stdin=subprocess.PIPE) as worker:
        try:
            assert worker.stdin is not None
            worker.stdin.write(sources.encode())
            worker.stdin.close()
            wait_until(
                lambda: all(simulator.audience(one).now for one in NAMES), 30, "all cameras are watched"
            )
            below = {*hosts(worker.pid), *decoder_processes.decoders(worker.pid).values()}
            assert len(below) == 1 + len(NAMES)
            if waits:
                for name in NAMES:
                    simulator.stall(name)
        finally:
            worker.kill()
    wait_until(lambda: all(is_gone(one) for one in below), 5, "its decoders have ended")
    wait_until(lambda: not any(simulator.audience(one).now for one in NAMES), 5, "no viewer is left")


def test_a_signal_to_the_group_is_left_to_the_worker(cameras: list[Camera]) -> None:
    with Taker(cameras) as taker:
        all_up(taker)
        processes = decoder_processes.decoders()
        for pid in (*hosts(), *processes.values()):
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGINT)
        before = len(taker.taken)
        wait_until(lambda: len(taker.taken) > before + 15, 10, "frames go on")
        assert decoder_processes.decoders() == processes
        assert all(taker.failures(one.id) == {} for one in cameras)
    assert hosts() == []


def test_no_decoder_shows_or_gets_a_password_it_does_not_need(cameras: list[Camera]) -> None:
    with Taker(cameras) as taker:
        all_up(taker)
        shown = [
            Path(f"/proc/{pid}/{name}").read_bytes()
            for pid in (*hosts(), *decoder_processes.decoders().values())
            for name in ("cmdline", "environ")
        ]
    assert len(shown) == 2 * (1 + len(cameras))
    assert not any(PASSWORD.encode() in one for one in shown)
    assert not any(b"CAMERA_" in one for one in shown)


def test_the_host_has_one_thread_and_no_file_of_the_worker(cameras: list[Camera], tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file, Taker(cameras) as taker:
        all_up(taker)
        (host,) = hosts()
        assert len(list(Path(f"/proc/{host}/task").iterdir())) == 1
        for pid in (host, *decoder_processes.decoders().values()):
            names = [one.readlink() for one in Path(f"/proc/{pid}/fd").iterdir()]
            assert Path(file.name) not in names
            assert sum(str(one).startswith("socket:") for one in names) <= 2


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_all_decoders_are_replaced_if_the_host_dies_or_hangs(
    cameras: list[Camera], how: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoders, "_ANSWER_S", 2.0)
    with Taker(cameras) as taker:
        all_up(taker)
        (host,) = hosts()
        before = {host, *decoder_processes.decoders().values()}
        os.kill(host, how)
        os.kill(
            decoder_processes.decoders()["cam-door"] if how == signal.SIGSTOP else max(before), signal.SIGKILL
        )
        wait_until(lambda: all(is_gone(one) for one in before), 10, "all of them are gone")
        wait_until(lambda: all(taker.failures(one.id) for one in cameras), 10, "all cameras broke off")
        all_up(taker)
        assert before.isdisjoint({*hosts(), *decoder_processes.decoders().values()})
        reasons = [taker.failures(one.id).keys() for one in cameras]
    assert reasons == [{"crashed"}] * len(cameras)
    assert all(taker.balance(one.id) == 0 for one in cameras)


def _cpu_of_children_s() -> float:
    """Of those that have ended and were waited for, and of those that they had waited for."""
    times = os.times()
    return times.children_user + times.children_system


def test_usage_of_decoders_is_reported_and_kept_when_they_end(cameras: list[Camera]) -> None:
    before_s = _cpu_of_children_s()
    with Taker(cameras, fps=25) as taker:
        all_up(taker)
        pids = (*hosts(), *decoder_processes.decoders().values())
        resident_bytes = 1024 * sum(map(_resident_kb, pids))
        # The last look before they end: what they use from here on is told by what they were forked from.
        assert 0 < taker.metrics.total(MEMORY) < resident_bytes, "what they share counts once"
        os.kill(decoder_processes.decoders()["cam-door"], signal.SIGKILL)
        wait_until(lambda: taker.failures("cam-door"), 10, "the camera broke off")
        wait_until(lambda: len(taker.taken) > 300, 30, "they have worked")
        taker.source.set_cameras(())
        wait_until(lambda: not decoder_processes.decoders(), 10, "all of them have ended")
        told_s = taker.metrics.total(CPU)
    assert told_s == pytest.approx(_cpu_of_children_s() - before_s, abs=0.1)


def test_usage_is_still_reported_after_the_host_died(cameras: list[Camera]) -> None:
    with Taker(cameras) as taker:
        all_up(taker)
        before = [*hosts(), *decoder_processes.decoders().values()]
        told_s = [taker.metrics.total(CPU)]

        def are_back() -> bool:
            told_s.append(taker.metrics.total(CPU))
            return all(taker.failures(one.id) and taker.is_up(one.id) for one in cameras)

        for pid in before[:2]:
            os.kill(pid, signal.SIGKILL)
        wait_until(are_back, 20, "all of them are replaced")
    assert 0 < told_s[0] < told_s[-1]
    assert told_s == sorted(told_s)


def test_each_running_decoder_has_its_memory_limit(cameras: list[Camera]) -> None:
    with Taker(cameras) as taker:
        all_up(taker)
        limits = [
            line.split()[3:5]
            for pid in decoder_processes.decoders().values()
            for line in Path(f"/proc/{pid}/limits").read_text().splitlines()
            if line.startswith("Max data size")
        ]
    assert limits == [[str(MAX_MEMORY_BYTES)] * 2] * len(cameras)


def test_a_decoder_that_reserves_too_much_memory_gets_none() -> None:
    code = (
        "import numpy, agegender.services.ingest.decoder.child as decoder; decoder._limit_memory();"
        "numpy.ones(200_000_000, numpy.uint8); print('enough');"
        "numpy.ones(decoder.MAX_MEMORY_BYTES, numpy.uint8)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=_ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "enough\n"
    assert "MemoryError" in done.stderr


def _resident_kb(pid: int) -> int:
    fields = Path(f"/proc/{pid}/status").read_text().split("VmRSS:")
    return int(fields[1].split()[0])


def test_a_thousand_failed_reconnects_leak_nothing(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = camera_source.reader_settings

    def hasty(*given: object) -> ReaderSettings:
        quick = {"backoff": lambda: Backoff(0.001, 0.002), "login_backoff": lambda: Backoff(0.001, 0.002)}
        return replace(usual(*given), **quick)  # type: ignore[arg-type]

    monkeypatch.setattr(camera_source, "reader_settings", hasty)
    with ExitStack() as stack:
        simulated = stack.enter_context(CameraSimulator(login=Login("viewer", PASSWORD)))
        login = simulated.add("door", clip)
        wrong = f"{simulated.url_with_login('door')}-is-not-here"
        ports = [stack.enter_context(tcp_server(one)) for one in (hangs_up, speaks_http)]
        urls = [login, wrong, *(f"rtsp://127.0.0.1:{port}/x" for port in (free_loopback_port(), *ports))]
        several = [Camera(id=f"cam-{n}", source=url) for n, url in enumerate(urls)]
        taker = stack.enter_context(Taker(several))

        def failures() -> float:
            return taker.metrics.total("agegender_camera_failures_total")

        def used() -> tuple[int, int, int]:
            """Resident kB, open files and threads of this process and of the one that decoders come from."""
            pids = (os.getpid(), *hosts())
            files = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)
            return sum(_resident_kb(pid) for pid in pids), files, threading.active_count()

        wait_until(lambda: failures() >= RECONNECTS / 4, 60, "a part has failed")
        before = used()
        wait_until(lambda: failures() >= RECONNECTS * 5 / 4, 90, "1,000 more have failed")
        after = used()
        assert len(children(hosts()[0])) <= 2 * len(several)
    assert {reason for one in several for reason in taker.failures(one.id)} == {
        "login",
        "not-found",
        "refused",
        "not-video",
    }
    assert after[0] - before[0] < 5_000
    # One connection of each camera comes and goes, with a thread of the server for it.
    assert abs(after[1] - before[1]) <= 4 * len(several)
    assert after[2] <= before[2]
