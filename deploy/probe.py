"""A health check: `python -IS probe.py URL` ends with 0 if the server answers 200, over HTTP or RTSP.

It runs every few seconds in every container, so it imports only `socket` and takes about 15 ms.
"""

import socket
import sys

_ANSWER_WITHIN_S = 4.0


def status(url: str) -> bytes:
    """Return the first line of the server's answer, such as `HTTP/1.0 200 OK`.

    Raises:
        OSError: the server does not answer.
    """
    scheme, _, rest = url.partition("://")
    address, slash, path = rest.partition("/")
    host, _, port = address.rpartition(":")
    if scheme == "rtsp":
        question = f"OPTIONS {url} RTSP/1.0\r\nCSeq: 1\r\n\r\n"
    else:
        question = f"GET {slash}{path} HTTP/1.0\r\nHost: {address}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=_ANSWER_WITHIN_S) as connection:
        connection.sendall(question.encode())
        with connection.makefile("rb") as answer:
            return answer.readline(1_000).strip()


if __name__ == "__main__":
    try:
        found = status(sys.argv[1])
    except OSError as error:
        sys.exit(f"no answer from {sys.argv[1]}: {error}")
    if found.split(b" ")[1:2] != [b"200"]:
        sys.exit(f"{sys.argv[1]} answered {found.decode(errors='replace')!r}")
