"""Free ports for the servers that a test starts."""

from __future__ import annotations

import random
import socket

# Below the range from which Linux and macOS take the near end of outgoing connections: a port from there may
# go between our look and the server's start, and a client retrying a stopped server can connect to itself.
_FIRST, _LAST = 20_000, 32_000


def free_loopback_port() -> int:
    """Return a TCP port of 127.0.0.1 on which nothing listens.

    Raises OSError when a hundred picks were all taken.
    """
    for port in random.sample(range(_FIRST, _LAST), 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError(f"none of 100 ports tried between {_FIRST} and {_LAST} of 127.0.0.1 is free")
