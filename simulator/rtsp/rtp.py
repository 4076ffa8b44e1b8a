"""RTP (RFC 3550) with H.264 as its payload (RFC 6184, packetisation mode 1), and the RTCP sender's report."""

from __future__ import annotations

import secrets
import struct
from collections.abc import Iterator, Sequence

CLOCK_HZ = 90_000
"""Of the timestamps of every video payload."""

PAYLOAD_TYPE = 96
MOST_PAYLOAD_BYTES = 1400

_VERSION = 0x80
_MARKER = 0x80
_FRAGMENT = 28
_FRAGMENT_START, _FRAGMENT_END = 0x80, 0x40
_SENDER_REPORT, _SOURCE_DESCRIPTION = 200, 202
_CNAME = b"simulated-camera"
_NTP_EPOCH_S = 2_208_988_800
"""From the epoch of NTP, 1900, to that of Unix, 1970."""


def payloads(nals: Sequence[bytes]) -> Iterator[bytes]:
    """The RTP payloads of one access unit, in order: NAL units, the long ones as fragments (FU-A)."""
    for nal in nals:
        if len(nal) <= MOST_PAYLOAD_BYTES:
            yield nal
        else:
            yield from _fragments(nal)


def _fragments(nal: bytes) -> Iterator[bytes]:
    """RFC 6184, section 5.8: importance and type of the NAL unit move to the two bytes before each part."""
    indicator, nal_type, body = nal[0] & 0xE0 | _FRAGMENT, nal[0] & 0x1F, nal[1:]
    step = MOST_PAYLOAD_BYTES - 2
    for start in range(0, len(body), step):
        first = _FRAGMENT_START if start == 0 else 0
        last = _FRAGMENT_END if start + step >= len(body) else 0
        yield bytes((indicator, first | last | nal_type)) + body[start : start + step]


class RtpSource:
    """Numbers the packets of one stream. Begins at random numbers, as RFC 3550 asks for."""

    def __init__(self) -> None:
        self._ssrc = secrets.randbits(32)
        self._sequence = secrets.randbits(16)
        self._first_timestamp = secrets.randbits(32)
        self._packets_sent = 0
        self._bytes_sent = 0

    def packets(self, unit_payloads: Sequence[bytes], position_s: float) -> list[bytes]:
        """RTP packets of one access unit that was captured `position_s` after the stream's start."""
        timestamp = self._timestamp(position_s)
        made = []
        for index, payload in enumerate(unit_payloads):
            marker = _MARKER if index == len(unit_payloads) - 1 else 0
            head = (_VERSION, marker | PAYLOAD_TYPE, self._sequence, timestamp, self._ssrc)
            made.append(struct.pack("!BBHII", *head) + payload)
            self._sequence = (self._sequence + 1) & 0xFFFF
            self._bytes_sent += len(payload)
        self._packets_sent += len(made)
        return made

    def sender_report(self, position_s: float, wall_s: float) -> bytes:
        """RTCP that tells the wall clock, seconds since 1970, at `position_s` after the stream's start."""
        ntp_s, fraction = divmod(wall_s + _NTP_EPOCH_S, 1.0)
        report = struct.pack(
            "!BBHIIIIII",
            _VERSION,
            _SENDER_REPORT,
            6,
            self._ssrc,
            int(ntp_s) & 0xFFFFFFFF,
            int(fraction * 2**32),
            self._timestamp(position_s),
            self._packets_sent & 0xFFFFFFFF,
            self._bytes_sent & 0xFFFFFFFF,
        )
        return report + self._description()

    def _description(self) -> bytes:
        """Every compound RTCP packet names its source (RFC 3550, section 6.1)."""
        chunk = struct.pack("!IBB", self._ssrc, 1, len(_CNAME)) + _CNAME
        chunk += bytes(4 - len(chunk) % 4)
        return struct.pack("!BBH", _VERSION | 1, _SOURCE_DESCRIPTION, len(chunk) // 4) + chunk

    def _timestamp(self, position_s: float) -> int:
        return (self._first_timestamp + round(position_s * CLOCK_HZ)) & 0xFFFFFFFF
