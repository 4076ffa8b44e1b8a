"""`python -m agegender.services.ingest.decoder.host`: the process that decoders are forked from.

It has loaded FFmpeg and does nothing itself, so that a decoder starts within milliseconds and shares the
memory of all code with the others. It has one thread, which is why it may fork, and waits for nothing but
its worker, which is why it never hangs.

Over its standard input, a socket, it is asked for one thing at a time, by one number: 0 comes with the
connection of a decoder to be started, and is answered by its process id, or by an errno below 0; the id of a
decoder has it killed, and is answered by its exit status as `os.waitpid` gives it. An id stays taken until
then, so no other process can be meant. When the worker is gone, however it ended, so are all decoders.
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
    """Serves until the worker is gone, and ends with all decoders."""
    # Ctrl-C and the end of a container go to everybody, and it is the worker who decides.
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    # A dump would leave pictures and a password on the disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Else the first collection of each decoder would write to, and so copy, all pages.
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
            # Whatever happened: a decoder must never go on as a second host.
            os._exit(0)
    os.close(connection)
    return pid


def _kill(pid: int) -> int:
    os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


if __name__ == "__main__":
    main()
