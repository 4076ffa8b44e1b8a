"""What the simulated cameras put on the wire, and which logins they accept."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import socket
import struct
from itertools import pairwise

import pytest

from agegender.simulator.rtsp.auth import Gatekeeper, Login
from agegender.simulator.rtsp.camera import MOST_UNSENT_BYTES, SimulatedCamera, Viewer
from agegender.simulator.rtsp.carriers import Interleaved
from agegender.simulator.rtsp.media import AccessUnit, VideoTrack
from agegender.simulator.rtsp.messages import Request, read_request
from agegender.simulator.rtsp.rtp import CLOCK_HZ, MOST_PAYLOAD_BYTES, RtpSource, payloads

LOGIN = Login("viewer", "p@:/%#ß")


def digest_header(challenge: str, password: str, *, method: str = "DESCRIBE") -> str:
    found = dict(re.findall(r'(\w+)="([^"]*)"', challenge))

    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()  # noqa: S324 - the protocol asks for it

    who, what = md5(f"viewer:{found['realm']}:{password}"), md5(f"{method}:rtsp://h/c")
    response = md5(f"{who}:{found['nonce']}:{what}")
    return f'Digest username="viewer", nonce="{found["nonce"]}", uri="rtsp://h/c", response="{response}"'


def basic_header(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def test_only_a_digest_of_the_right_password_is_accepted() -> None:
    gatekeeper = Gatekeeper(LOGIN)
    challenge = gatekeeper.challenges()[0]
    assert gatekeeper.admits("DESCRIBE", digest_header(challenge, LOGIN.password))
    assert not gatekeeper.admits("DESCRIBE", digest_header(challenge, "guess"))
    assert not gatekeeper.admits("SETUP", digest_header(challenge, LOGIN.password))


def test_a_digest_for_another_nonce_is_refused() -> None:
    stale = digest_header(Gatekeeper(LOGIN).challenges()[0], LOGIN.password)
    assert not Gatekeeper(LOGIN).admits("DESCRIBE", stale)


def test_a_basic_login_may_hold_colons_and_letters_beyond_ascii() -> None:
    gatekeeper = Gatekeeper(LOGIN, ("basic",))
    assert gatekeeper.admits("DESCRIBE", basic_header("viewer", "p@:/%#ß"))


@pytest.mark.parametrize(
    "header",
    [None, "", "Basic", "Basic !!!", "Bearer x", "Digest", basic_header("viewer", ""), basic_header("", "p")],
)
def test_what_is_not_the_login_is_refused(header: str | None) -> None:
    assert not Gatekeeper(LOGIN).admits("DESCRIBE", header)


def test_a_scheme_that_was_not_offered_is_refused() -> None:
    assert not Gatekeeper(LOGIN, ("digest",)).admits("PLAY", basic_header("viewer", LOGIN.password))


def test_a_camera_without_a_login_admits_everybody() -> None:
    assert Gatekeeper(None).admits("DESCRIBE", None)


def test_a_user_with_a_colon_is_refused_without_the_password() -> None:
    with pytest.raises(ValueError, match="without a colon"):
        Login("a:b", "secret")
    assert "secret" not in repr(Login("a", "secret"))


@pytest.mark.parametrize(
    "length", [1, MOST_PAYLOAD_BYTES, MOST_PAYLOAD_BYTES + 1, 2 * MOST_PAYLOAD_BYTES, 10_000]
)
def test_a_nal_unit_of_any_length_can_be_put_together_again(length: int) -> None:
    nal = bytes([0x65]) + bytes(index % 251 for index in range(length - 1))
    made = list(payloads([nal]))
    assert all(len(payload) <= MOST_PAYLOAD_BYTES for payload in made)
    if len(made) == 1:
        assert made == [nal]
        return
    assert [payload[1] & 0xC0 for payload in made] == [0x80, *[0] * (len(made) - 2), 0x40]
    header = bytes([made[0][0] & 0xE0 | made[0][1] & 0x1F])
    assert header + b"".join(payload[2:] for payload in made) == nal


def test_packets_are_numbered_and_the_last_of_a_frame_is_marked() -> None:
    source = RtpSource()
    packets = [packet for step in range(30_000) for packet in source.packets([b"a", b"b", b"c"], step / 25)]
    heads = [struct.unpack("!BBHII", packet[:12]) for packet in packets]
    assert all((later[2] - earlier[2]) % 65_536 == 1 for earlier, later in pairwise(heads))
    assert [head[1] >> 7 for head in heads[:6]] == [0, 0, 1, 0, 0, 1]
    assert (heads[3][3] - heads[0][3]) % 2**32 == CLOCK_HZ // 25
    assert len({head[4] for head in heads}) == 1


def test_a_sender_report_pairs_wall_clock_and_timestamp() -> None:
    source = RtpSource()
    packet = source.packets([b"picture"], 7.5)[0]
    report = source.sender_report(7.5, 1_800_000_000.25)
    ntp_s, fraction, timestamp, packets, sent_bytes = struct.unpack("!IIIII", report[8:28])
    assert ntp_s + fraction / 2**32 == 1_800_000_000.25 + 2_208_988_800
    assert timestamp == struct.unpack("!I", packet[4:8])[0]
    assert (packets, sent_bytes) == (1, 7)


def read(text: bytes) -> Request:
    async def reading() -> Request:
        reader = asyncio.StreamReader()
        reader.feed_data(text)
        reader.feed_eof()
        return await read_request(reader)

    return asyncio.run(reading())


def test_a_request_is_read_past_the_clients_interleaved_reports() -> None:
    request = read(b"$\x01\x00\x03abc" + b"SETUP rtsp://h:1/door/trackID=0 RTSP/1.0\r\nCSeq: 3\r\n\r\n")
    assert (request.method, request.camera, request.headers) == ("SETUP", "door", {"cseq": "3"})


@pytest.mark.parametrize(
    "text",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"\xff\xfe\r\n\r\n",
        b"A b RTSP/1.0\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_what_is_not_rtsp_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any text will do
        read(text)


def test_a_viewer_who_does_not_read_fills_only_a_bounded_buffer() -> None:
    unit_bytes, interval_s = 200_000, 0.001
    units = tuple(AccessUnit(index * interval_s, True, (b"\x65" + bytes(unit_bytes),)) for index in range(10))
    track = VideoTrack(units, 10 * interval_s, sps=b"\x67", pps=b"\x68")
    offered: list[int] = []

    async def overload() -> int:
        ours, theirs = socket.socketpair()
        with theirs:
            transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
            camera = SimulatedCamera(track, clock=True)
            camera.admit(Viewer(Interleaved(transport, 0)))
            playing = asyncio.create_task(camera.play())
            while len(offered) < 50:
                offered.append(transport.get_write_buffer_size())
                await asyncio.sleep(0.005)
            playing.cancel()
            transport.abort()
        return max(offered)

    assert MOST_UNSENT_BYTES < asyncio.run(overload()) < MOST_UNSENT_BYTES + 2 * unit_bytes
