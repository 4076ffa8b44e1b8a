"""`python -m agegender.services.ingest.decoder.host`: the process that decoders are forked from.

It has loaded FFmpeg and does nothing else. So a decoder starts within milliseconds and shares the memory of
the code with the others. The host has one thread, so it may fork. It waits only for its worker, so it never
hangs.

Its standard input is a socket. Each request is one number, and so is each answer:

- 0 comes with the connection of a new decoder. The answer is its process id, or an errno below 0.
- The id of a decoder has it killed. The answer is its exit status, as `os.waitpid` returns it. Until then
  the system does not give the id to another process.

If the worker ends in any way, the host ends with all decoders.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
import struct
from typing import NoReturn

from agegender.services.ingest.decoder.child import run

NUMBER = struct.Struct("!i")
START = 0


def main() -> NoReturn:
    """Serves until the worker ends, then ends with all decoders."""
    # Ctrl-C and the end of a container signal all processes, but the worker alone decides.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    # A core dump would leave pictures and a password on the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Else the first garbage collection of each decoder would write to, and so copy, all pages.
    gc.freeze()
    worker = socket.socket(fileno=0)
    while True:
        asked, connections = _next_request(worker)
        worker.sendall(NUMBER.pack(_start(worker, connections[0]) if asked == START else _kill(asked)))


def _next_request(worker: socket.socket) -> tuple[int, list[int]]:
    try:
        data, connections, _, _ = socket.recv_fds(worker, NUMBER.size, 1)
    except OSError:
        data, connections = b"", []
    if len(data) < NUMBER.size:
        os.killpg(0, signal.SIGKILL)
    return NUMBER.unpack(data)[0], connections


def _start(worker: socket.socket, connection: int) -> int:
    try:
        pid = os.fork()
    except OSError as error:
        pid = -(error.errno or 1)
    if pid == 0:
        try:
            worker.close()
            run(socket.socket(fileno=connection))
        finally:
            # A decoder must never continue as a second host, even after an error.
            os._exit(0)
    os.close(connection)
    return pid


def _kill(pid: int) -> int:
    os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


if __name__ == "__main__":
    main()
