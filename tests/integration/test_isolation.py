"""Many cameras misbehave at once, and decoders hang or die: the other cameras are not affected."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import pytest

from agegender.shared.images.pictures import UnreadablePicture
from agegender.simulator.rtsp.faults import Fault
from tests.support.decoder_processes import decoders, on_linux
from tests.support.misbehaving import HUNG, KILLED, MISBEHAVIOURS, Cameras, misbehaving, watched
from tests.support.waiting import wait_until

pytestmark = on_linux

FPS = 5.0
TOLERANCE = 0.05
FRAMES = 41
FAILS_WITH = {
    Fault.STALLS: "no-frame",
    Fault.GARBAGE: "no-frame",
    Fault.HANGS_UP: "ended",
    Fault.OTHER_CODEC: "no-keyframe",
    HUNG: "hung",
    KILLED: "crashed",
}


@dataclass(frozen=True)
class Seen:
    """The rates, streams and processes before and after the misbehaviour."""

    cameras: Cameras
    rates_before: dict[str, float]
    rates_fps: dict[str, float]
    since_s: float
    seconds: float
    processes_before: dict[str, int]
    processes: dict[str, int]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("clips")
    with misbehaving(
        folder, 3, MISBEHAVIOURS, fps=FPS, no_frame_s=2, answer_s=2, keyframe_s=2, hung_s=1
    ) as cameras:
        cameras.wait_until_up()
        rates_before, processes_before, since_s = watched(cameras, FRAMES, 40), decoders(), time.time()
        cameras.misbehave()
        rates_fps = watched(cameras, FRAMES, 40)
        for name, reason in FAILS_WITH.items():
            wait_until(partial(_failed, cameras, name, reason), 30, f"{name} is counted as {reason}")
        for name in (HUNG, KILLED):
            wait_until(partial(cameras.taker.is_up, name), 30, f"{name} is up again")
        seconds, processes = time.time() - since_s, decoders()
        cameras.taker.close()
        yield Seen(cameras, rates_before, rates_fps, since_s, seconds, processes_before, processes)


def _failed(cameras: Cameras, name: str, reason: str) -> bool:
    return reason in cameras.taker.failures(name)


def test_the_others_keep_their_rate(seen: Seen) -> None:
    for name in seen.cameras.good:
        assert seen.rates_fps[name] == pytest.approx(seen.rates_before[name], rel=TOLERANCE)
        assert seen.rates_fps[name] == pytest.approx(FPS, rel=TOLERANCE)


def test_the_others_keep_their_streams_and_their_decoders(seen: Seen) -> None:
    for name in seen.cameras.good:
        assert len({one.frame.stream_id for one in seen.cameras.taker.of(name)}) == 1
        assert seen.cameras.taker.failures(name) == {}
        assert seen.processes[name] == seen.processes_before[name]


def test_each_misbehaviour_is_counted_with_its_reason(seen: Seen) -> None:
    for name, reason in FAILS_WITH.items():
        assert reason in seen.cameras.taker.failures(name)


def test_a_decoder_that_hangs_or_dies_is_replaced_and_goes_on(seen: Seen) -> None:
    for name in (HUNG, KILLED):
        assert seen.processes[name] != seen.processes_before[name]
        assert seen.cameras.taker.failures(name) == {FAILS_WITH[name]: 1}
        assert len({one.frame.stream_id for one in seen.cameras.taker.of(name)}) == 2


def test_a_camera_that_floods_gives_hardly_more_than_its_share(seen: Seen) -> None:
    given = [one for one in seen.cameras.taker.of(Fault.FLOODS) if one.at_s > seen.since_s]
    dropped = seen.cameras.taker.metrics.total("agegender_messages_dropped_total", camera=Fault.FLOODS)
    assert seen.seconds * FPS * 0.8 < len(given) + dropped < (seen.seconds + 2) * FPS * 1.2


def test_a_clock_that_runs_backwards_is_never_believed_again(seen: Seen) -> None:
    """The order of the frames decides: a busy machine may deliver frames long after they were sent."""
    clocks = [one.frame.clock for one in seen.cameras.taker.of(Fault.BACKWARDS)]
    turned = clocks.index("arrival", clocks.index("camera"))
    assert set(clocks[turned:]) == {"arrival"}
    dropped = seen.cameras.taker.metrics.total("agegender_messages_dropped_total", camera=Fault.BACKWARDS)
    assert len(clocks) - turned + dropped > (seen.seconds - 2) * FPS * 0.8


def test_pictures_may_change_their_size(seen: Seen) -> None:
    pictures = [one.frame.picture for one in seen.cameras.taker.of(Fault.OTHER_SIZE)]
    sizes = {one.shape[:2] for one in pictures if not isinstance(one, UnreadablePicture)}
    assert sizes == {(180, 320), (360, 640)}


def test_the_counts_of_all_cameras_balance(seen: Seen) -> None:
    cameras = seen.cameras
    assert {one: cameras.taker.balance(one) for one in (*cameras.good, *cameras.bad)} == dict.fromkeys(
        (*cameras.good, *cameras.bad), 0.0
    )
