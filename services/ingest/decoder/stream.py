"""The stream of an RTSP camera, read by a decoder process."""

from __future__ import annotations

import logging
import signal
import socket
import time
from collections.abc import Iterator

from agegender.services.ingest.camera_clock import ClockTrust
from agegender.services.ingest.decoder.client import DecoderPool
from agegender.services.ingest.decoder.protocol import (
    Failed,
    FrameHeader,
    Garbled,
    Order,
    Skips,
    Waits,
    receive,
)
from agegender.services.ingest.sources.rtsp.connection import opens_within_s, url_with_login
from agegender.services.ingest.sources.rtsp.patience import AnswerPatience
from agegender.services.ingest.sources.stream import (
    CameraError,
    FailureReason,
    Skipped,
    StreamFrame,
    Waiting,
    Wanted,
)
from agegender.shared.cameras.camera import Camera
from agegender.shared.images.pictures import Bgr, OversizePicture, UnreadablePicture
from agegender.shared.messages.pipeline import Clock

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.25  # how late a silent stream notices that it is no longer wanted
_GOODBYE_S = 0.5  # for a decoder to end the session with its camera before it is killed


class IsolatedStream:
    """A `stream.Stream` of the frames that are due: the decoder has picked them already.

    A faulty decoder harms only itself. If it crashes, the stream breaks; if it is silent, it is killed. A
    frame that has not arrived completely was never captured.

    Args:
        camera: the camera with its login.
        decoders: starts the process.
        trust: checks the camera's clock; one for all streams of the camera.
        wanted: see `stream.Wanted`.
        fps: frames a second to take.
        longer_side_px: the decoder shrinks larger frames to this.
        no_frame_s: the stream breaks if no frame arrives for this long.
        patience: how long the camera may take to answer while it is opened; one for all of its streams.
        keyframe_s: how long its first keyframe may take.
        hung_s: a decoder that is silent for this much longer hangs.

    Raises:
        CameraError: the login is missing, or no process can be started.
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
        patience: AnswerPatience,
        keyframe_s: float,
        hung_s: float,
    ) -> None:
        self._camera_id = camera.id
        self._trust = trust
        answer_s = patience.next_s()
        self._patience = patience
        self._opens_since_s: float | None = time.monotonic()
        self._silence_s = max(no_frame_s, opens_within_s(answer_s)) + hung_s
        self._later_silence_s = no_frame_s + hung_s
        self._wanted = wanted
        url = url_with_login(camera)
        order = Order(
            camera_id=camera.id,
            url=url,
            no_frame_s=no_frame_s,
            answer_s=answer_s,
            keyframe_s=keyframe_s,
            fps=fps,
            longer_side_px=longer_side_px,
        )
        self._decoder = decoders.start(order)
        self._connection = self._decoder.connection
        self._connection.settimeout(_LOOK_EVERY_S)
        self._is_ended = False

    def frames(self) -> Iterator[StreamFrame | Waiting | Skipped]:
        """See `stream.Stream`. Ends when the stream is no longer wanted."""
        while True:
            try:
                message, picture = receive(self._fill)
            except _Unwanted:
                return
            except (EOFError, OSError):
                raise CameraError(FailureReason.CRASHED, self._how_it_ended()) from None
            except Garbled as error:
                raise CameraError(FailureReason.CRASHED, f"the decoder process sent {error}") from None
            self._silence_s = self._later_silence_s
            if self._opens_since_s is not None and not isinstance(message, Failed):
                self._patience.answered(time.monotonic() - self._opens_since_s)
                self._opens_since_s = None
            match message:
                case FrameHeader():
                    yield self._frame(message, picture)
                case Waits():
                    yield Waiting(message.reason, message.why)
                case Skips():
                    yield Skipped(message.seconds)
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
                FailureReason.HUNG, f"the decoder was silent for {silent_s:.0f} s and was killed"
            )

    def _how_it_ended(self) -> str:
        number = self._end()
        how = f"was ended by {signal.Signals(number).name}" if number else "ended without a reason"
        return f"the decoder process {how}"

    def _frame(self, header: FrameHeader, picture: Bgr | None) -> StreamFrame:
        captured_at_s, clock = self._capture_time(header)
        return StreamFrame(
            time_s=None,
            captured_at_s=captured_at_s,
            clock=clock,
            picture=lambda: _pixels(header, picture),
            camera_time_s=header.camera_time_s,
        )

    def _capture_time(self, header: FrameHeader) -> tuple[float, Clock]:
        camera_s = header.camera_time_s
        if camera_s is not None and self._trust.admit(camera_s, header.arrived_at_s):
            return camera_s, "camera"
        return header.arrived_at_s, "arrival"

    def close(self) -> None:
        """Lets the decoder end its session with the camera, then kills it if it still runs."""
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
    """The stream is no longer wanted."""


def _pixels(header: FrameHeader, picture: Bgr | None) -> Bgr:
    if picture is None:
        raise (OversizePicture if header.is_oversize else UnreadablePicture)(header.problem)
    return picture
