"""What clients send that speak HTTP badly, or not at all."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable

from hypothesis import strategies as st

PATIENCE_S = 20.0

_pieces = st.sampled_from(
    (
        *(
            b"GET ",
            b"/live",
            b" HTTP/1.1",
            b"\r\n",
            b"\n",
            b"\r",
            b" ",
            b"\t",
            b":",
            b"\x00",
            b"\xff",
            b"%00",
        ),
        *(b"HTTP/0.9", b"HTTP/9.9", b"POST ", b"CONNECT ", b"*", b"http://h/live", b"//", b"..", b"Host: h"),
    )
)
_method = st.sampled_from([b"GET", b"HEAD", b"POST", b"get", b"G\x00T", b"", b"X" * 70_000])
_target = st.sampled_from([b"/live", b"/metrics", b"*", b"/%ff", b"/" + b"a" * 70_000, b"http://x/live"])
_version = st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1", b"HTTP/x.y", b""])
_name = st.sampled_from(
    (
        *(b"Host", b"Content-Length", b"Transfer-Encoding", b"Connection", b"Upgrade", b"Expect"),
        *(b"Accept-Encoding", b"Authorization"),
    )
)
_value = st.sampled_from(
    (
        *(b"127.0.0.1", b"-1", b"0", b"5", b"9" * 40, b"chunked", b"chunked, chunked", b"keep-alive"),
        *(b"websocket", b"h2c", b"100-continue", b"gzip;q=x", b"a" * 5_000),
    )
)
_body = st.sampled_from(
    [b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"ffffffffffffffff\r\n", b"zz\r\n", b"0\r\n\r\n"]
)
_short = st.binary(max_size=12)


@st.composite
def _request(draw: st.DrawFn) -> bytes:
    """Like a request, with anything in its places."""
    fields = draw(
        st.lists(st.tuples(_name | _short, _value | _short), max_size=4) | st.just([(b"X", b"y")] * 2_000)
    )
    head = b"".join(name + b": " + value + b"\r\n" for name, value in fields)
    first = draw(_method | _short) + b" " + draw(_target | _short) + b" " + draw(_version) + b"\r\n"
    return first + head + draw(st.sampled_from([b"\r\n", b"", b"\n"])) + draw(_body | _short)


anything_sent = st.one_of(
    st.binary(max_size=200), st.lists(_pieces, max_size=12).map(b"".join), _request()
).map(lambda sent: [sent]) | st.lists(_request(), min_size=2, max_size=3)
"""The parts that a client sends, one after the other."""


def answers_to(port: int, parts: Iterable[bytes]) -> bytes:
    """All that a server on this machine answers to a client that sends `parts` and nothing more.

    Raises TimeoutError when the server neither answers nor closes the connection.
    """
    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        # It may let go before it has read everything.
        with contextlib.suppress(OSError):
            for part in parts:
                connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionError):
            while some := connection.recv(65_536):
                answer += some
    return answer
