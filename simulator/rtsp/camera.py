"""Plays one clip for ever, in real time, to all its viewers."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from agegender.simulator.rtsp.carriers import Carrier
from agegender.simulator.rtsp.faults import FLOOD_FACTOR, HANG_UP_UNITS, Fault
from agegender.simulator.rtsp.media import VideoTrack
from agegender.simulator.rtsp.rtp import RtpSource, payloads

MOST_UNSENT_BYTES = 2_000_000
"""A viewer with this much unread data gets no more until it has read it, and then goes on at a keyframe."""

REPORT_EVERY_S = 2.0
"""A camera with a clock tells the time this often, and before the first picture that a viewer gets."""


@dataclass(frozen=True)
class Audience:
    """The viewers of a camera."""

    now: int = 0
    """Viewers at this moment."""
    most: int = 0
    """The most that there were at a time."""
    admitted: int = 0
    """All that there ever were."""


class Viewer:
    """One RTSP session that gets packets."""

    def __init__(self, carrier: Carrier, *, waits_for_keyframe: bool = True) -> None:
        self._carrier = carrier
        self.waits_for_keyframe = waits_for_keyframe
        self.units_sent = 0

    def is_behind(self) -> bool:
        """Whether what was sent before still waits in this process."""
        return self._carrier.unsent_bytes > MOST_UNSENT_BYTES

    def send(self, rtp: list[bytes], rtcp: bytes | None) -> None:
        """Hands packets over; never waits."""
        self._carrier.send(rtp, rtcp)
        self.units_sent += 1

    def cut_off(self) -> None:
        """Closes the connection without a word."""
        self._carrier.cut_off()

    def close(self) -> None:
        """Frees the ports that only this viewer used."""
        self._carrier.close()


class SimulatedCamera:
    """The picture source behind one URL. Time goes on without viewers and while it is stalled.

    Args:
        track: what it plays, and announces.
        other: what it plays in between with the fault `OTHER_SIZE`; must last as long.
        clock: whether it tells the wall clock of its pictures.
        untold_pictures: with a clock, so many pictures each viewer gets before it is told the time at all.
    """

    def __init__(
        self, track: VideoTrack, other: VideoTrack | None = None, *, clock: bool, untold_pictures: int = 0
    ) -> None:
        self.track = track
        self.fault: Fault | None = None
        self._clock = clock
        self._untold_pictures = untold_pictures
        self._viewers: set[Viewer] = set()
        self.audience = Audience()
        self._rounds = [track.units, (other or track).units]
        self._payloads = [[tuple(payloads(unit.nals)) for unit in units] for units in self._rounds]
        self._chance = random.Random(0)  # noqa: S311  (noise)

    def admit(self, viewer: Viewer) -> None:
        """`viewer` gets everything from now on, or from the next keyframe on if it waits for one."""
        self._viewers.add(viewer)
        now = len(self._viewers)
        self.audience = Audience(now, max(now, self.audience.most), self.audience.admitted + 1)

    def dismiss(self, viewer: Viewer) -> None:
        """`viewer` gets nothing more; nothing happens if it never did."""
        self._viewers.discard(viewer)
        self.audience = replace(self.audience, now=len(self._viewers))

    async def play(self) -> None:
        """Plays until it is cancelled. Each call is a new stream: its own numbers and its own start."""
        loop = asyncio.get_running_loop()
        source = RtpSource()
        due_s, wall_at_start_s = loop.time(), time.time()
        reported_s = -REPORT_EVERY_S
        before_s = told_s = 0.0
        for position_s, is_keyframe, unit_payloads in self._endless():
            step_s, before_s = position_s - before_s, position_s
            due_s += step_s / FLOOD_FACTOR if self.fault is Fault.FLOODS else step_s
            told_s += -step_s if self.fault is Fault.BACKWARDS else step_s
            # Also without a delay, so that a flood leaves the others of this loop their turns.
            await asyncio.sleep(max(0.0, due_s - loop.time()))
            if self.fault is Fault.GARBAGE:
                unit_payloads = tuple(self._chance.randbytes(len(payload)) for payload in unit_payloads)
            packets = source.packets(unit_payloads, told_s)
            report = source.sender_report(told_s, wall_at_start_s + told_s) if self._clock else None
            is_due = position_s - reported_s >= REPORT_EVERY_S
            if is_due:
                reported_s = position_s
            self._send(packets, report, is_due=is_due, is_keyframe=is_keyframe)

    def _endless(self) -> Iterator[tuple[float, bool, tuple[bytes, ...]]]:
        """Seconds since the start, whether a keyframe is due then, and the payloads of that access unit."""
        number = 0
        while True:
            which = number % 2 if self.fault is Fault.OTHER_SIZE else 0
            for unit, unit_payloads in zip(self._rounds[which], self._payloads[which], strict=True):
                yield number * self.track.duration_s + unit.time_s, unit.is_keyframe, unit_payloads
            number += 1

    def _send(self, packets: list[bytes], report: bytes | None, *, is_due: bool, is_keyframe: bool) -> None:
        for viewer in self._viewers:
            if self.fault is Fault.STALLS or viewer.is_behind():
                viewer.waits_for_keyframe = True
            elif is_keyframe or not viewer.waits_for_keyframe:
                is_first = viewer.units_sent == 0 or viewer.waits_for_keyframe
                is_told = (is_due or is_first) and viewer.units_sent >= self._untold_pictures
                viewer.send(packets, report if is_told else None)
                viewer.waits_for_keyframe = False
                if self.fault is Fault.HANGS_UP and viewer.units_sent >= HANG_UP_UNITS:
                    viewer.cut_off()
