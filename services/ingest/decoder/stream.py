"""An RTSP camera whose stream is read and decoded by a process of its own."""

from __future__ import annotations

import logging
import signal
import socket
import time
from collections.abc import Iterator

from agegender.services.ingest.camera_clock import ClockTrust
from agegender.services.ingest.decoder.client import DecoderPool
from agegender.services.ingest.decoder.protocol import Failed, FrameHeader, Garbled, Order, receive
from agegender.services.ingest.sources.rtsp import OPENS_WITHIN_S, url_with_login
from agegender.services.ingest.sources.stream import CameraError, FailureReason, StreamFrame, Wanted
from agegender.shared.cameras.camera import Camera
from agegender.shared.images.pictures import Bgr, OversizePicture, UnreadablePicture
from agegender.shared.messages.pipeline import Clock

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.25  # how late a stream that is silent may notice that nobody wants it any more
_GOODBYE_S = 0.5  # what a decoder may take to say goodbye to its camera before it is killed


class IsolatedStream:
    """The frames of a camera that are due, as `stream.Stream`: they are picked already.

    Whatever the decoder does, it does to itself: a crash is a stream that breaks, and one that says nothing
    is ended. What it had not handed over whole was never captured.

    Args:
        camera: which, with its login.
        decoders: where the process comes from.
        trust: classifies the camera's clock; the same for all streams of the camera.
        wanted: see `stream.Wanted`.
        fps: frames a second to take.
        longer_side_px: larger frames are shrunk to this by the decoder.
        no_frame_s: the stream breaks when no frame comes for this long.
        hung_s: a decoder that has said nothing for this much longer hangs.

    Raises:
        CameraError: the login cannot be found, or no process can be started.
    """

    def __init__(
        self,
        camera: Camera,
        decoders: DecoderPool,
        trust: ClockTrust,
        wanted: Wanted,
        *,
        fps: float,
        longer_side_px: int,
        no_frame_s: float,
        hung_s: float,
    ) -> None:
        self._camera_id = camera.id
        self._trust = trust
        self._silence_s = max(no_frame_s, OPENS_WITHIN_S) + hung_s
        self._later_silence_s = no_frame_s + hung_s
        self._wanted = wanted
        url = url_with_login(camera)
        order = Order(
            camera_id=camera.id, url=url, no_frame_s=no_frame_s, fps=fps, longer_side_px=longer_side_px
        )
        self._decoder = decoders.start(order)
        self._connection = self._decoder.connection
        self._connection.settimeout(_LOOK_EVERY_S)
        self._is_ended = False

    def frames(self) -> Iterator[StreamFrame]:
        """See `stream.Stream`; ends when nobody wants the camera any more."""
        while True:
            try:
                message, picture = receive(self._fill)
            except _Unwanted:
                return
            except (EOFError, OSError):
                raise CameraError(FailureReason.CRASHED, self._how_it_ended()) from None
            except Garbled as error:
                raise CameraError(FailureReason.CRASHED, f"the decoder's process sent {error}") from None
            self._silence_s = self._later_silence_s
            match message:
                case FrameHeader():
                    yield self._frame(message, picture)
                case Failed():
                    if message.trace is not None:
                        log.error(
                            "decoder failed", extra={"camera": self._camera_id, "exception": message.trace}
                        )
                    raise CameraError(message.reason, message.text)

    def _fill(self, view: memoryview) -> None:
        done, heard_at_s = 0, time.monotonic()
        while done < len(view):
            try:
                got = self._connection.recv_into(view[done:])
            except TimeoutError:
                if not self._wanted():
                    raise _Unwanted from None
                self._check_silence(heard_at_s)
                continue
            if not got:
                raise EOFError
            done, heard_at_s = done + got, time.monotonic()

    def _check_silence(self, heard_at_s: float) -> None:
        silent_s = time.monotonic() - heard_at_s
        if silent_s > self._silence_s:
            raise CameraError(
                FailureReason.HUNG, f"no sign of life of the decoder for {silent_s:.0f} s: it was ended"
            )

    def _how_it_ended(self) -> str:
        number = self._end()
        how = f"was ended by {signal.Signals(number).name}" if number else "ended without a word"
        return f"the decoder's process {how}"

    def _frame(self, picked: FrameHeader, picture: Bgr | None) -> StreamFrame:
        return StreamFrame(None, *self._capture_time(picked), lambda: _pixels(picked, picture))

    def _capture_time(self, picked: FrameHeader) -> tuple[float, Clock]:
        camera_s = picked.camera_time_s
        if camera_s is not None and self._trust.admit(camera_s, picked.arrived_at_s):
            return camera_s, "camera"
        return picked.arrived_at_s, "arrival"

    def close(self) -> None:
        """Has the decoder say goodbye to the camera, and ends it if it does not."""
        if self._is_ended:
            return
        until_s = time.monotonic() + _GOODBYE_S
        try:
            self._connection.shutdown(socket.SHUT_WR)
            while time.monotonic() < until_s and self._connection.recv(1 << 20):
                pass
        except OSError:
            pass
        self._end()

    def _end(self) -> int:
        self._is_ended = True
        return self._decoder.end()


class _Unwanted(Exception):
    """Nobody wants this stream any more."""


def _pixels(picked: FrameHeader, picture: Bgr | None) -> Bgr:
    if picture is None:
        raise (OversizePicture if picked.is_oversize else UnreadablePicture)(picked.problem)
    return picture
