"""After any answer of a camera, reading it ends in time with frames or with a reason."""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agegender.services.ingest.sources.rtsp.connection import open_rtsp, url_with_login
from agegender.services.ingest.sources.rtsp.stream import RtspStream
from agegender.services.ingest.sources.stream import CameraError, FailureReason, StreamFrame
from agegender.shared.cameras.camera import Camera

NO_FRAME_S = 0.5
ANSWER_S = 0.5
KEYFRAME_S = 3.0
PATIENCE_S = 15.0
"""Four times the time to answer, the time without a frame, and what a busy machine adds."""
PASSWORD = "s3cretpw"

_SDP = (
    b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\na=control:*\r\n"
    b"m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
    b"a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0LAHtkDxWhAAAADAEAAAAwDxYuS,aMuMsg==\r\n"
    b"a=control:trackID=0\r\n"
)
_HEADERS = {
    "OPTIONS": b"Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n",
    "DESCRIBE": b"Content-Type: application/sdp\r\n",
    "SETUP": b"Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1;timeout=60\r\n",
    "PLAY": b"Session: 1\r\nRange: npt=now-\r\n",
}
_CUT = (
    *(b"\r\n", b"\x00", b"\xff" * 8, b"-1", b"99999999999999999999", b"%n%s", b"/" * 300, b";", b"=", b","),
    *(
        b"m=video 0 RTP/AVP 26\r\n",
        b"m=audio 0 RTP/AVP 0\r\n",
        b"H265",
        b"JPEG",
        b"MP4V-ES",
        b"a=framesize:96 ",
    ),
    *(
        b"interleaved=255-256",
        b"Content-Length: 999999999\r\n",
        b"Location: http://127.0.0.1:1/\r\n",
        b"$\x00\xff\xff",
    ),
)


@st.composite
def _changed(draw: st.DrawFn, data: bytes) -> bytes:
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2, 5]))):
        begin = draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw(st.integers(0, 12)))
        new = draw(st.sampled_from(_CUT) | st.binary(max_size=6) | st.just(data[begin:end] * 3))
        data = data[:begin] + new + data[end:]
    return data


def _answer(headers: bytes, body: bytes = b"", status: bytes = b"200 OK") -> bytes:
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    return b"RTSP/1.0 " + status + b"\r\nCSeq: CSEQ\r\n" + headers + length + b"\r\n" + body


@st.composite
def _script(draw: st.DrawFn) -> dict[str, bytes]:
    """Method → what a camera answers to it, in which CSEQ stands for the number of the request."""
    answers = {}
    for method, headers in _HEADERS.items():
        body = draw(_changed(_SDP)) if method == "DESCRIBE" else b""
        status = draw(
            st.sampled_from([b"200 OK"] * 9 + [b"401 No", b"302 Moved", b"454 No", b"999 ?", b"-1"])
        )
        answer = _answer(headers, body, status)
        answers[method] = draw(_changed(answer)) if draw(st.integers(0, 3)) == 0 else answer
    return answers


@st.composite
def _packets(draw: st.DrawFn) -> bytes:
    """RTP and RTCP in their frames, with anything for a picture."""
    sent = b""
    for number in range(draw(st.integers(0, 12))):
        payload = draw(st.sampled_from([b"\x67", b"\x68", b"\x65", b"\x41", b"\x7c\x85", b"\x78", b""]))
        payload += draw(st.binary(max_size=60))
        rtp = bytes([0x80, draw(st.sampled_from([96, 224, 26, 200]))]) + number.to_bytes(2, "big")
        rtp += draw(st.binary(min_size=8, max_size=8)) + payload
        length = draw(st.sampled_from([len(rtp)] * 8 + [0, 3, 65_535]))
        sent += b"$" + bytes([draw(st.sampled_from([0, 0, 0, 1, 7]))]) + length.to_bytes(2, "big") + rtp
    return draw(_changed(sent))


class Liar:
    """A camera that answers by a script and then hangs up, or says nothing more."""

    def __init__(self) -> None:
        self.script: dict[str, bytes] = {}
        self.packets = b""
        self.hangs_up = True
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(PATIENCE_S)
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        while request := connection.recv(65_536):
            number = re.search(rb"CSeq: (\d+)", request)
            method = request.split(b" ", 1)[0].decode("latin-1")
            answer = self.script.get(method, b"RTSP/1.0 200 OK\r\nCSeq: CSEQ\r\n\r\n")
            connection.sendall(answer.replace(b"CSEQ", number[1] if number else b"0"))
            if method == "PLAY":
                connection.sendall(self.packets)
                if self.hangs_up:
                    return

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture(scope="module")
def liar() -> Iterator[Liar]:
    one = Liar()
    yield one
    one.close()


def read(port: int, most_frames: int = 50) -> CameraError | None:
    """Why the camera cannot be read, if so."""
    camera = Camera(id="door", source=f"rtsp://viewer:{PASSWORD}@127.0.0.1:{port}/live")
    try:
        opened = open_rtsp(url_with_login(camera), no_frame_s=NO_FRAME_S, answer_s=ANSWER_S)
        with contextlib.closing(opened.container):
            stream = RtspStream(opened, no_frame_s=NO_FRAME_S, keyframe_s=KEYFRAME_S)
            for frame in itertools.islice(stream.frames(), most_frames):
                if isinstance(frame, StreamFrame):
                    frame.picture()
    except CameraError as error:
        return error
    return None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(script=_script(), packets=_packets(), hangs_up=st.sampled_from([True] * 9 + [False]))
@example(
    script={"DESCRIBE": b"RTSP/1.0 200 OK\r\nContent-Length: 999999999\r\n\r\nv=0"},
    packets=b"",
    hangs_up=True,
)
@example(script={"OPTIONS": b"RTSP/1.0 200 OK\r\n" + b"X: y\r\n" * 20_000}, packets=b"", hangs_up=True)
def test_any_answer_of_a_camera_ends_in_time_with_a_reason(
    liar: Liar, script: dict[str, bytes], packets: bytes, hangs_up: bool
) -> None:
    liar.script, liar.packets, liar.hangs_up = script, packets, hangs_up
    started_s = time.monotonic()
    error = read(liar.port)
    assert time.monotonic() - started_s < PATIENCE_S
    if error is not None:
        assert error.reason in FailureReason
        assert PASSWORD not in str(error)
        assert len(str(error)) < 300


def test_a_title_in_any_encoding_does_not_matter(liar: Liar) -> None:
    liar.packets, liar.hangs_up = b"", True
    said = []
    for title in ("x", "Küche"):
        body = _SDP.replace(b"s=x", b"s=" + title.encode("latin-1"))
        liar.script = {method: _answer(headers) for method, headers in _HEADERS.items()}
        liar.script["DESCRIBE"] = _answer(_HEADERS["DESCRIBE"], body)
        said.append(str(read(liar.port)))
    assert said[0] == said[1]


@settings(max_examples=25, deadline=None)
@given(garbage=st.binary(min_size=1, max_size=3_000))
def test_a_server_without_rtsp_ends_in_time_with_a_reason(liar: Liar, garbage: bytes) -> None:
    liar.script, liar.hangs_up = dict.fromkeys(("OPTIONS", "DESCRIBE"), garbage), True
    started_s = time.monotonic()
    error = read(liar.port)
    assert time.monotonic() - started_s < PATIENCE_S
    assert error is not None
    assert PASSWORD not in str(error)
