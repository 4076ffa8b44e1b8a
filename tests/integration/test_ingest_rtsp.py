"""RTSP cameras that work: their frames, the times of capture, and a pipeline that takes none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from agegender.services.ingest.stage import IngestStage
from agegender.shared.cameras.camera import Camera
from agegender.shared.images.pictures import Bgr, UnreadablePicture
from agegender.shared.runtime.stage import Done
from agegender.simulator.content.clips import write_video
from agegender.simulator.rtsp import camera as simulated_camera
from agegender.simulator.rtsp.auth import Login, Scheme
from agegender.simulator.rtsp.cameras import CameraSimulator
from tests.support.taking import Taker
from tests.support.waiting import wait_until

FPS = 25
SECONDS = 4
SIZE_WH = (320, 180)
PASSWORD = "s3cret@:/%#ß word"
BITS = 7
BACKLOG = 3
"""At 5 fps, as many frames come in one go at first: FFmpeg looks at the start of a stream before it opens."""


def numbered(number: int) -> Bgr:
    """A picture that tells its number: bars, black or white, the highest bit on the left."""
    bars = [255 if number >> bit & 1 else 0 for bit in reversed(range(BITS))]
    row = np.repeat(np.array(bars, np.uint8), SIZE_WH[0] // BITS + 1)[: SIZE_WH[0]]
    return np.dstack([np.tile(row, (SIZE_WH[1], 1))] * 3)


def number_of(picture: Bgr | UnreadablePicture) -> int:
    assert not isinstance(picture, UnreadablePicture)
    width_px = SIZE_WH[0] // BITS + 1
    bars = [picture[:, n * width_px + 8 : (n + 1) * width_px - 8].mean() > 127 for n in range(BITS)]
    return int("".join("1" if bar else "0" for bar in bars), 2)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds. Each frame shows its number."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    write_video(path, (numbered(n) for n in range(FPS * SECONDS)), size_wh=SIZE_WH, fps=FPS)
    return path


@pytest.fixture(scope="module")
def short_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Repeats every fifth of a second with a keyframe, so that viewers wait only briefly for a picture."""
    path = tmp_path_factory.mktemp("clips") / "short.mp4"
    write_video(path, (numbered(n) for n in range(5)), size_wh=SIZE_WH, fps=FPS)
    return path


@pytest.fixture(scope="module")
def slow_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Like a camera in the dark with a long exposure."""
    path = tmp_path_factory.mktemp("clips") / "slow.mp4"
    write_video(path, (numbered(n) for n in range(12)), size_wh=SIZE_WH, fps=4)
    return path


@pytest.fixture(scope="module")
def simulator(clip: Path, slow_clip: Path) -> Iterator[CameraSimulator]:
    with CameraSimulator(login=Login("grüße", PASSWORD)) as cameras:
        cameras.add("door", clip)
        cameras.add("yard", clip, clock=False)
        cameras.add("slow", slow_clip)
        yield cameras


def camera(simulator: CameraSimulator, name: str) -> Camera:
    return Camera.model_validate({"id": name, "source": simulator.url_with_login(name)})


def test_frames_have_the_wanted_rate_and_the_cameras_clock(
    simulator: CameraSimulator,
) -> None:
    """The pictures tell when they were taken: 25 a second from the start of each round of the clip."""
    with Taker([camera(simulator, "door")], fps=5) as taker:
        wait_until(lambda: len(taker.taken) >= 16, 15, "16 frames are taken")
    frames = [one.frame for one in taker.taken]
    assert {frame.clock for frame in frames} == {"camera"}
    times_s = [frame.captured_at_s for frame in frames]
    assert (times_s[15] - times_s[0]) / 15 == pytest.approx(1 / 5, rel=0.1)
    for before, after in pairwise(frames):
        passed = (number_of(after.picture) - number_of(before.picture)) % (FPS * SECONDS) / FPS
        assert after.captured_at_s - before.captured_at_s == pytest.approx(passed, abs=0.02)
    assert all(-0.01 < one.age_s < 0.2 for one in taker.taken[BACKLOG:])
    assert 0 < taker.metrics.total("agegender_camera_clock_skew_seconds", camera="door") < 0.2
    assert [frame.sequence for frame in frames] == list(range(len(frames)))
    assert {frame.stream_id for frame in frames} == {frames[0].stream_id}
    assert {(frame.media_time_s, frame.file) for frame in frames} == {(None, None)}


PASSWORDS = (PASSWORD, "a@b", "a:b", "a/b", "a%41", "a#b", "a?b=c&d", "ä" * 20)


@pytest.mark.parametrize("scheme", ["digest", "basic"])
def test_any_password_opens_a_camera(short_clip: Path, scheme: Scheme) -> None:
    with ExitStack() as stack:
        cameras = []
        for number, password in enumerate(PASSWORDS):
            one = stack.enter_context(CameraSimulator(login=Login("viewer", password), schemes=(scheme,)))
            fields = {"source": one.add("door", short_clip), "username": "viewer", "password": password}
            cameras.append(Camera.model_validate({"id": f"door{number}", **fields}))
        taker = stack.enter_context(Taker(cameras))
        wait_until(lambda: all(taker.of(one.id) for one in cameras), 15, "each camera gives a frame")
    assert [taker.failures(one.id) for one in cameras] == [{}] * len(PASSWORDS)


def test_a_password_typed_into_the_url_as_it_is_opens_a_camera(short_clip: Path) -> None:
    with CameraSimulator(login=Login("viewer", "pa/ss@w:ord#1")) as cameras:
        source = cameras.add("door", short_clip).replace("rtsp://", "rtsp://viewer:pa/ss@w:ord#1@")
        with Taker([Camera.model_validate({"id": "door", "source": source})]) as taker:
            wait_until(lambda: taker.taken, 10, "a frame is taken")


def test_a_camera_without_a_clock_gets_the_time_of_arrival(simulator: CameraSimulator) -> None:
    with Taker([camera(simulator, "yard")]) as taker:
        wait_until(lambda: len(taker.taken) >= 5, 10, "5 frames are taken")
    assert {one.frame.clock for one in taker.taken} == {"arrival"}
    assert all(0 <= one.age_s < 0.2 for one in taker.taken)


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_clock_hours_off_means_arrival_time_and_one_warning(
    short_clip: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, hours: int
) -> None:
    wrong = SimpleNamespace(time=lambda: time.time() + hours * 3600)
    monkeypatch.setattr(simulated_camera, "time", wrong)
    with CameraSimulator() as cameras:
        cameras.add("door", short_clip)
        with Taker([camera(cameras, "door")], fps=25) as taker:
            wait_until(lambda: len(taker.taken) >= 5, 10, "5 frames are taken")
            cameras.stop_camera("door")
            cameras.start_camera("door")
            streams = {one.frame.stream_id for one in taker.taken}
            wait_until(
                lambda: {one.frame.stream_id for one in taker.taken} > streams, 10, "the camera is back"
            )
    assert {one.frame.clock for one in taker.taken} == {"arrival"}
    assert all(0 <= one.age_s < 0.3 for one in taker.taken)
    (warning,) = [record for record in caplog.records if "clock is wrong" in record.message]
    assert vars(warning)["camera"] == "door"
    assert vars(warning)["skew_s"] == pytest.approx(-hours * 3600, abs=5)


def test_a_camera_slower_than_the_rate_gives_all_its_frames(simulator: CameraSimulator) -> None:
    """The first two do not count: what came during the opening arrives at once, and the newest wins."""
    with Taker([camera(simulator, "slow")], fps=5) as taker:
        wait_until(lambda: len(taker.taken) >= 8, 15, "8 frames are taken")
    numbers = [number_of(one.frame.picture) for one in taker.taken[2:]]
    assert numbers == [(numbers[0] + n) % 12 for n in range(len(numbers))]


def test_after_a_pause_the_next_frame_is_fresh(
    simulator: CameraSimulator,
) -> None:
    with Taker([camera(simulator, "door")], fps=25) as taker:
        wait_until(lambda: taker.taken, 10, "a frame is taken")
        taker.pause()
        captured = taker.metrics.total("agegender_frames_captured_total")
        wait_until(
            lambda: taker.metrics.total("agegender_frames_captured_total") >= captured + 60,
            10,
            "60 more frames are captured",
        )
        before = len(taker.taken)
        taker.resume()
        wait_until(lambda: len(taker.taken) > before, 5, "a frame is taken")
        first = taker.taken[before]
    assert first.frame.clock == "camera"
    assert first.age_s < 1.5, "waited for 60 frames: 2.4 s"
    assert first.frame.sequence - taker.taken[before - 1].frame.sequence > 55
    assert taker.metrics.by_label("agegender_messages_dropped_total", "reason")["busy"] > 50
    assert taker.balance("door") == 0


def test_the_stage_makes_frames_of_what_a_camera_gives(simulator: CameraSimulator) -> None:
    with Taker([camera(simulator, "door")]) as taker:
        wait_until(lambda: len(taker.taken) >= 3, 10, "3 frames are taken")
    outcomes = IngestStage(160).process([one.frame for one in taker.taken])
    frames = [one.outputs[0] for one in outcomes if isinstance(one, Done)]
    assert len(frames) == len(taker.taken)
    assert {(one.info.width_px, one.info.height_px) for one in frames} == {(160, 90)}
    assert len({one.info.frame_id for one in frames}) == len(frames)


def test_two_cameras_and_a_file_keep_their_rates_side_by_side(simulator: CameraSimulator, clip: Path) -> None:
    still = Camera.model_validate({"id": "file", "source": str(clip)})
    with Taker([camera(simulator, "door"), camera(simulator, "yard"), still], fps=5) as taker:
        wait_until(
            lambda: min(len(taker.of(one)) for one in ("door", "yard")) >= BACKLOG + 11, 15, "11 of each"
        )
    for name in ("door", "yard"):
        times_s = [one.frame.captured_at_s for one in taker.of(name)][BACKLOG:]
        assert (times_s[10] - times_s[0]) / 10 == pytest.approx(1 / 5, rel=0.1)
    assert len(taker.of("file")) == SECONDS * 5
    assert all(taker.balance(one.id) == 0 for one in taker.cameras)
