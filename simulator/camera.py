"""Plays one clip for ever, in real time, to everybody who watches."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from simulator.media import Track
from simulator.rtp import RtpSource, payloads

MOST_UNSENT_BYTES = 2_000_000
"""A viewer who has not yet taken this much gets no more until it has, and then from the next keyframe on."""

REPORT_EVERY_S = 2.0
"""A camera with a clock tells the time this often, and before the first picture that a viewer gets."""


@dataclass(frozen=True)
class Audience:
    """Who watches a camera."""

    now: int = 0
    """Viewers at this moment."""
    most: int = 0
    """The most that there were at a time."""
    admitted: int = 0
    """All that there ever were."""


class Viewer:
    """One RTSP connection that gets RTP and RTCP packets between its replies (RFC 2326, section 10.12)."""

    def __init__(self, transport: asyncio.WriteTransport, rtp_channel: int) -> None:
        self._transport = transport
        self._rtp_channel = rtp_channel
        self.waits_for_keyframe = True

    def is_behind(self) -> bool:
        """Whether what was sent before still waits in this process."""
        return self._transport.get_write_buffer_size() > MOST_UNSENT_BYTES

    def send(self, rtp: list[bytes], rtcp: bytes | None) -> None:
        """Hands packets to the connection; never waits."""
        if self._transport.is_closing():
            return
        parts = [] if rtcp is None else [_interleaved(self._rtp_channel + 1, rtcp)]
        parts += [_interleaved(self._rtp_channel, packet) for packet in rtp]
        self._transport.write(b"".join(parts))


class Camera:
    """The picture source behind one URL. Time goes on while nobody watches and while it is stalled."""

    def __init__(self, track: Track, *, clock: bool) -> None:
        self.track = track
        self.stalled = False
        self._clock = clock
        self._viewers: set[Viewer] = set()
        self.audience = Audience()
        self._payloads = [tuple(payloads(unit.nals)) for unit in track.units]

    def admit(self, viewer: Viewer) -> None:
        """From the next keyframe on, `viewer` gets everything."""
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
        started_s, wall_at_start_s = loop.time(), time.time()
        reported_s = -REPORT_EVERY_S
        for position_s, index in self._endless():
            delay_s = started_s + position_s - loop.time()
            if delay_s > 0:
                await asyncio.sleep(delay_s)
            packets = source.packets(self._payloads[index], position_s)
            report = source.sender_report(position_s, wall_at_start_s + position_s) if self._clock else None
            is_due = position_s - reported_s >= REPORT_EVERY_S
            if is_due:
                reported_s = position_s
            self._send(packets, report, is_due=is_due, is_keyframe=self.track.units[index].is_keyframe)

    def _endless(self) -> Iterator[tuple[float, int]]:
        """Seconds since the start, and the number of the access unit that is due then."""
        rounds = 0
        while True:
            for index, unit in enumerate(self.track.units):
                yield rounds * self.track.duration_s + unit.time_s, index
            rounds += 1

    def _send(self, packets: list[bytes], report: bytes | None, *, is_due: bool, is_keyframe: bool) -> None:
        for viewer in self._viewers:
            if self.stalled or viewer.is_behind():
                viewer.waits_for_keyframe = True
            elif is_keyframe or not viewer.waits_for_keyframe:
                viewer.send(packets, report if is_due or viewer.waits_for_keyframe else None)
                viewer.waits_for_keyframe = False


def _interleaved(channel: int, packet: bytes) -> bytes:
    return struct.pack("!cBH", b"$", channel, len(packet)) + packet
