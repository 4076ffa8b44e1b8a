"""Cameras of which some misbehave while others go on, and how these fare."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from agegender.shared.cameras.camera import Camera
from agegender.simulator.content.clips import make_clip
from agegender.simulator.rtsp.cameras import CameraSimulator
from agegender.simulator.rtsp.faults import Fault
from tests.support.decoder_processes import decoders
from tests.support.taking import Taken, Taker
from tests.support.waiting import wait_until

HUNG, KILLED = "hung", "killed"
SMALL_WH = (320, 180)
MISBEHAVIOURS = (*(fault.value for fault in Fault), HUNG, KILLED)
"""What a camera can do, and what can happen to its decoder."""


def clips(folder: Path, size_wh: tuple[int, int] = SMALL_WH) -> tuple[Path, Path]:
    """A clip of a second with a keyframe each second, and one of another size."""
    paths = folder / "clip.mp4", folder / "other.mp4"
    for path, times in zip(paths, (1, 2), strict=True):
        make_clip(path, (), size_wh=(size_wh[0] * times, size_wh[1] * times), seconds=1)
    return paths


class Cameras:
    """Simulated cameras, all taken by one worker: `good` ones, and one named after each misbehaviour."""

    def __init__(
        self,
        simulator: CameraSimulator,
        folder: Path,
        good: int,
        bad: Sequence[str],
        size_wh: tuple[int, int],
        **settings: float,
    ) -> None:
        self.good = [f"good{n}" for n in range(good)]
        self.bad = list(bad)
        self._simulator = simulator
        clip, other = clips(folder, size_wh)
        for name in (*self.good, *self.bad):
            simulator.add(name, clip, other_clip=other)
        cameras = [Camera(id=name, source=simulator.url(name)) for name in (*self.good, *self.bad)]
        self.taker = Taker(cameras, **settings)

    def wait_until_up(self) -> None:
        """Until each camera has given a frame."""
        names = (*self.good, *self.bad)
        wait_until(lambda: all(self.taker.of(one) for one in names), 30, "each camera gives a frame")

    def misbehave(self) -> None:
        """From now on each bad camera does what it is named after, or its decoder."""
        processes = decoders()
        for name in self.bad:
            if name == HUNG:
                os.kill(processes[name], signal.SIGSTOP)
            elif name == KILLED:
                os.kill(processes[name], signal.SIGKILL)
            else:
                self._simulator.misbehave(name, Fault(name))
            if name == Fault.OTHER_CODEC:
                # It is announced to new viewers only.
                self._simulator.stop_camera(name)
                self._simulator.start_camera(name)

    def since(self, name: str, at_s: float) -> list[Taken]:
        """What was taken of a camera that was captured after `at_s`, by its clock."""
        return [one for one in self.taker.of(name) if one.frame.captured_at_s > at_s]


def rate_fps(frames: Sequence[Taken]) -> float:
    """Frames a second that were taken, by the time of their capture."""
    seconds = frames[-1].frame.captured_at_s - frames[0].frame.captured_at_s
    return (len(frames) - 1) / seconds


@contextmanager
def misbehaving(
    folder: Path, good: int, bad: Sequence[str], size_wh: tuple[int, int] = SMALL_WH, **settings: float
) -> Iterator[Cameras]:
    """Starts the cameras and the worker that takes their frames."""
    with CameraSimulator() as simulator:
        cameras = Cameras(simulator, folder, good, bad, size_wh, **settings)
        with cameras.taker:
            yield cameras


def watched(cameras: Cameras, frames: int, timeout_s: float) -> dict[str, float]:
    """The rate of each good camera over its next `frames` frames."""
    at_s = time.time()
    wait_until(
        lambda: all(len(cameras.since(one, at_s)) >= frames for one in cameras.good),
        timeout_s,
        f"{frames} frames of each good camera are taken",
    )
    return {one: rate_fps(cameras.since(one, at_s)) for one in cameras.good}
