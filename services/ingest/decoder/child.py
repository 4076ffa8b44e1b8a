"""What a decoder process does: reads one stream of one RTSP camera, and hands over the frames that are due.

It ends when the stream does, when the worker closes its end of the connection, or when it is killed.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import sys
import time
import traceback
from pathlib import Path

from agegender.services.ingest.decoder.protocol import Alive, Failed, Order, Picked, receive, send
from agegender.services.ingest.sources.rtsp import RtspFrame, RtspStream, open_container
from agegender.services.ingest.sources.sampler import Allowance, ForwardTime, Sampler
from agegender.services.ingest.sources.stream import CameraError, FailureReason
from agegender.shared.images.pictures import Bgr, OversizePicture, UnreadablePicture, shrink

ALIVE_EVERY_S = 1.0
MOST_DECODED_FPS = 120.0
"""A camera that sends more is read no faster than this, so that it cannot take a whole core for itself."""
_CATCH_UP_S = 2.0  # as many seconds of frames may come at once, after a stall of the network
_LEAST_AT_ONCE = 3.0
_DRIFT = 1.1  # a clock of a stream that runs this much too fast is believed
_MOST_TRACE = 8_000
_MOST_MEMORY_BYTES = 1 << 30  # some ten of the largest pictures that are allowed


def run(connection: socket.socket) -> None:
    """Reads the order from `connection` and carries it out. Raises nothing but what ends a process."""
    _limit_memory()
    # The worker may have gone at any moment, and then wants nothing more.
    with connection, contextlib.suppress(OSError, EOFError):
        message, _ = receive(lambda view: _fill(connection, view))
        if not isinstance(message, Order):
            raise TypeError(f"expected an order, got {message.kind}")
        _show_name(message.camera_id)
        try:
            _hand_over_frames(connection, message)
        except CameraError as error:
            send(connection, Failed(reason=error.reason, text=str(error)))
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001  (said by the worker, which has logs)
            text = f"{type(error).__name__} while decoding"
            trace = traceback.format_exc(limit=-8)[:_MOST_TRACE]
            send(connection, Failed(reason=FailureReason.NOT_VIDEO, text=text, trace=trace))


def _limit_memory() -> None:
    """What a camera makes its decoder reserve ends with the decoder, and never takes the machine's memory."""
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (_MOST_MEMORY_BYTES, _MOST_MEMORY_BYTES))


def _show_name(camera_id: str) -> None:
    """Linux shows the camera, its first 15 letters, as the name of the process: in `top`, and in `ps -C`."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(camera_id)


def _hand_over_frames(connection: socket.socket, order: Order) -> None:
    stream = RtspStream(open_container(order.url, order.no_frame_s), order.no_frame_s)
    try:
        sampler, clock = Sampler(order.fps), ForwardTime()
        due = Allowance(order.fps * _DRIFT, max(_LEAST_AT_ONCE, order.fps * _CATCH_UP_S))
        decoded = Allowance(MOST_DECODED_FPS, MOST_DECODED_FPS * _CATCH_UP_S)
        send(connection, Alive())
        said_at_s = time.monotonic()
        for frame in stream.frames():
            if _is_over(connection):
                return
            now_s = time.monotonic()
            if sampler.is_due(clock.passed_s(frame.time_s, now_s)) and due.wait_s(now_s) == 0:
                _hand_over(connection, frame, order.longer_side_px)
                said_at_s = now_s
            elif now_s > said_at_s + ALIVE_EVERY_S:
                send(connection, Alive())
                said_at_s = now_s
            while (wait_s := decoded.wait_s(time.monotonic())) > 0:
                time.sleep(wait_s)
        raise CameraError(FailureReason.ENDED, "the stream ended")
    finally:
        stream.close()


def _hand_over(connection: socket.socket, frame: RtspFrame, longer_side_px: int) -> None:
    picture: Bgr | None = None
    size_wh, problem, is_oversize = None, "", False
    try:
        picture = shrink(frame.picture(), longer_side_px)
        size_wh = (picture.shape[1], picture.shape[0])
    except UnreadablePicture as error:
        problem, is_oversize = str(error), isinstance(error, OversizePicture)
    picked = Picked(
        arrived_at_s=frame.arrived_at_s,
        camera_time_s=frame.camera_time_s,
        size_wh=size_wh,
        problem=problem,
        is_oversize=is_oversize,
    )
    send(connection, picked, picture)


def _fill(connection: socket.socket, view: memoryview) -> None:
    done = 0
    while done < len(view):
        got = connection.recv_into(view[done:])
        if not got:
            raise EOFError
        done += got


def _is_over(connection: socket.socket) -> bool:
    """Whether the worker has closed its end, and be it for sending only."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
