"""The two ways of packets to a viewer: in the RTSP connection, and as datagrams."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from typing import Protocol

_FIRST_PORT, _LAST_PORT = 30_000, 59_998


class Carrier(Protocol):
    """Takes RTP and RTCP packets to one viewer, without waiting."""

    @property
    def unsent_bytes(self) -> int:
        """What was handed over and still waits in this process."""

    def send(self, rtp: list[bytes], rtcp: bytes | None) -> None:
        """Hands packets over; those of a closed connection are lost."""

    def close(self) -> None:
        """Frees what only this viewer used. The RTSP connection stays."""

    def cut_off(self) -> None:
        """Closes the RTSP connection without a word."""


@dataclass(frozen=True)
class Interleaved:
    """Packets between the replies of the RTSP connection (RFC 2326, section 10.12)."""

    connection: asyncio.WriteTransport
    rtp_channel: int

    @property
    def unsent_bytes(self) -> int:
        """See `Carrier`."""
        return self.connection.get_write_buffer_size()

    def send(self, rtp: list[bytes], rtcp: bytes | None) -> None:
        """See `Carrier`."""
        if self.connection.is_closing():
            return
        parts = [] if rtcp is None else [_framed(self.rtp_channel + 1, rtcp)]
        parts += [_framed(self.rtp_channel, packet) for packet in rtp]
        self.connection.write(b"".join(parts))

    def close(self) -> None:
        """See `Carrier`."""

    def cut_off(self) -> None:
        """See `Carrier`."""
        self.connection.abort()


@dataclass(frozen=True)
class Datagrams:
    """UDP from two neighbouring ports, the first for RTP and the second for RTCP (RFC 3550, section 11)."""

    connection: asyncio.WriteTransport
    rtp: asyncio.DatagramTransport
    rtcp: asyncio.DatagramTransport

    @property
    def rtp_port(self) -> int:
        """Our port for RTP; that for RTCP is the next one."""
        return int(self.rtp.get_extra_info("sockname")[1])

    @property
    def unsent_bytes(self) -> int:
        """See `Carrier`. Datagrams never wait: what the system does not take is lost."""
        return 0

    def send(self, rtp: list[bytes], rtcp: bytes | None) -> None:
        """See `Carrier`."""
        if rtcp is not None:
            self.rtcp.sendto(rtcp)
        for packet in rtp:
            self.rtp.sendto(packet)

    def close(self) -> None:
        """See `Carrier`."""
        self.rtp.abort()
        self.rtcp.abort()

    def cut_off(self) -> None:
        """See `Carrier`."""
        self.connection.abort()


async def datagrams(
    connection: asyncio.WriteTransport, host: str, viewer_host: str, viewer_port: int
) -> Datagrams:
    """Opens two neighbouring ports of `host` to those of the viewer. Raises OSError if there are none."""
    loop = asyncio.get_running_loop()
    for port in range(_FIRST_PORT, _LAST_PORT, 2):
        pair: list[asyncio.DatagramTransport] = []
        try:
            for step in (0, 1):
                transport, _ = await loop.create_datagram_endpoint(
                    asyncio.DatagramProtocol,
                    local_addr=(host, port + step),
                    remote_addr=(viewer_host, viewer_port + step),
                )
                pair.append(transport)
        except OSError:
            for transport in pair:
                transport.abort()
            continue
        return Datagrams(connection, *pair)
    raise OSError(f"expected two free ports from {_FIRST_PORT} to {_LAST_PORT}, found none")


def _framed(channel: int, packet: bytes) -> bytes:
    return struct.pack("!cBH", b"$", channel, len(packet)) + packet
