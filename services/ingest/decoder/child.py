"""The decoder process: reads one stream of one RTSP camera and sends the worker the frames that are due.

It ends with the stream, when the worker closes its end of the connection, or when it is killed.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import sys
import time
import traceback
from pathlib import Path

from agegender.services.ingest.decoder.protocol import (
    Alive,
    Failed,
    FrameHeader,
    Order,
    Skips,
    Waits,
    receive,
    send,
)
from agegender.services.ingest.sources.rtsp.connection import open_rtsp
from agegender.services.ingest.sources.rtsp.stream import RtspStream
from agegender.services.ingest.sources.sampler import Allowance, ForwardTime, Sampler
from agegender.services.ingest.sources.stream import CameraError, FailureReason, Skipped, StreamFrame, Waiting
from agegender.shared.images.pictures import Bgr, OversizePicture, UnreadablePicture, shrink

ALIVE_EVERY_S = 1.0
MOST_DECODED_FPS = 120.0
"""The most frames a second that are decoded, so that one camera cannot use a whole core."""
_CATCH_UP_S = 2.0  # seconds of frames that may arrive at once after a stall of the network
_LEAST_AT_ONCE = 3.0
_DRIFT = 1.1  # how much too fast the clock of a stream may run
_MAX_TRACE_CHARACTERS = 8_000
MAX_MEMORY_BYTES = 1 << 30
"""The memory limit of a decoder: about ten of the largest pictures that are allowed."""


def run(connection: socket.socket) -> None:
    """Reads the order from `connection` and carries it out. Failures are sent to the worker, never raised."""
    _limit_memory()
    # The worker may end at any moment. Then there is nothing left to do.
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
        except Exception as error:  # noqa: BLE001  (the worker logs it)
            text = f"{type(error).__name__} while decoding"
            trace = traceback.format_exc(limit=-8)[:_MAX_TRACE_CHARACTERS]
            send(connection, Failed(reason=FailureReason.NOT_VIDEO, text=text, trace=trace))


def _limit_memory() -> None:
    """Limits the memory of this process, so that a hostile stream cannot use all of the machine's."""
    if sys.platform == "linux":
        resource.setrlimit(resource.RLIMIT_DATA, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))


def _show_name(camera_id: str) -> None:
    """Names the process after the camera. On Linux, `top` and `ps -C` show the first 15 letters."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text(camera_id)


def _hand_over_frames(connection: socket.socket, order: Order) -> None:
    opened = open_rtsp(order.url, no_frame_s=order.no_frame_s, answer_s=order.answer_s)
    stream = RtspStream(opened, no_frame_s=order.no_frame_s, keyframe_s=order.keyframe_s)
    try:
        sampler, clock = Sampler(order.fps), ForwardTime()
        due = Allowance(order.fps * _DRIFT, max(_LEAST_AT_ONCE, order.fps * _CATCH_UP_S))
        decoded = Allowance(MOST_DECODED_FPS, MOST_DECODED_FPS * _CATCH_UP_S)
        send(connection, Alive())
        sent_at_s = time.monotonic()
        for frame in stream.frames():
            if _is_over(connection):
                return
            now_s = time.monotonic()
            if isinstance(frame, Waiting):
                if now_s > sent_at_s + ALIVE_EVERY_S:
                    send(connection, Waits(reason=frame.reason, why=frame.why))
                    sent_at_s = now_s
                continue
            if isinstance(frame, Skipped):
                if frame.seconds > 0:
                    send(connection, Skips(seconds=frame.seconds))
                elif now_s > sent_at_s + ALIVE_EVERY_S:
                    send(connection, Alive())
                    sent_at_s = now_s
                continue
            is_picked = frame.time_s is None or sampler.pick(clock.advance(frame.time_s, now_s))
            if is_picked and due.take(now_s) == 0:
                _hand_over(connection, frame, order.longer_side_px)
                sent_at_s = now_s
            elif now_s > sent_at_s + ALIVE_EVERY_S:
                send(connection, Alive())
                sent_at_s = now_s
            while (wait_s := decoded.take(time.monotonic())) > 0:
                time.sleep(wait_s)
        raise CameraError(FailureReason.ENDED, "the stream ended")
    finally:
        stream.close()


def _hand_over(connection: socket.socket, frame: StreamFrame, longer_side_px: int) -> None:
    picture: Bgr | None = None
    size_wh, problem, is_oversize = None, "", False
    try:
        picture = shrink(frame.picture(), longer_side_px)
        size_wh = (picture.shape[1], picture.shape[0])
    except UnreadablePicture as error:
        problem, is_oversize = str(error), isinstance(error, OversizePicture)
    header = FrameHeader(
        arrived_at_s=frame.captured_at_s,
        camera_time_s=frame.camera_time_s,
        size_wh=size_wh,
        problem=problem,
        is_oversize=is_oversize,
    )
    send(connection, header, picture)


def _fill(connection: socket.socket, view: memoryview) -> None:
    done = 0
    while done < len(view):
        got = connection.recv_into(view[done:])
        if not got:
            raise EOFError
        done += got


def _is_over(connection: socket.socket) -> bool:
    """Whether the worker has closed its end, at least for sending."""
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
