"""RTSP cameras and video files, through PyAV."""

from __future__ import annotations

import logging
import struct
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, cast

import av
import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream as ContainerVideo

from services.ingest.captured import CameraError, FailureReason, StreamFrame
from shared.cameras import Camera
from shared.errors import SettingsError
from shared.messages import Clock
from shared.pictures import MAX_PIXELS, Bgr, OversizePicture

log = logging.getLogger(__name__)

CLOCK_TOLERANCE_S = 10.0
"""A camera's clock that differs more from ours is wrong rather than late, and ours is taken instead."""

_RTSP_OPTIONS = {
    "rtsp_transport": "tcp",  # over UDP, lost packets smear the picture
    "analyzeduration": "200000",
    "timeout": "3000000",
}

_REASONS: tuple[tuple[type[Exception], FailureReason, str], ...] = (
    (av.error.HTTPUnauthorizedError, FailureReason.LOGIN, "user or password wrong, or missing"),
    (av.error.HTTPForbiddenError, FailureReason.LOGIN, "this user may not see the stream"),
    (av.error.HTTPNotFoundError, FailureReason.NOT_FOUND, "the camera has no stream under this path"),
    (av.error.FileNotFoundError, FailureReason.NOT_FOUND, "there is no such file"),
    (av.error.ConnectionRefusedError, FailureReason.REFUSED, "nothing listens at this address and port"),
    (av.error.InvalidDataError, FailureReason.NOT_VIDEO, "no video that can be decoded"),
    (av.error.EOFError, FailureReason.ENDED, "the stream ended"),
    (av.error.ConnectionResetError, FailureReason.ENDED, "the camera closed the connection"),
    (av.error.BrokenPipeError, FailureReason.ENDED, "the camera closed the connection"),
    (av.error.TimeoutError, FailureReason.UNREACHABLE, "no answer in time"),
    (av.error.ExitError, FailureReason.UNREACHABLE, "no answer in time"),
    (av.error.OSError, FailureReason.UNREACHABLE, "the host cannot be reached"),
)


def describe(error: av.error.FFmpegError) -> CameraError:
    """`error` in words of ours: FFmpeg's own repeat the URL with its login."""
    for kind, reason, text in _REASONS:
        if isinstance(error, kind):
            return CameraError(reason, text)
    return CameraError(FailureReason.NOT_VIDEO, error.strerror or type(error).__name__)


def open_rtsp(camera: Camera, read_timeout_s: float) -> VideoStream:
    """Opens an RTSP camera over TCP.

    Raises:
        CameraError: with the reason, and without the login.
    """
    try:
        url = camera.url_with_login()
    except SettingsError as error:
        raise CameraError(FailureReason.SETTINGS, str(error)) from None
    # FFmpeg checks its own timeout only between packets; this one interrupts it wherever it waits.
    container = _open(url, options=_RTSP_OPTIONS, timeout=(5.0, read_timeout_s))
    return VideoStream(container, live=True)


def open_video_file(path: str) -> VideoStream:
    """Opens a video file.

    Raises:
        CameraError: there is no such file, or it holds no video.
    """
    return VideoStream(_open(path), live=False, file=path)


def _open(url: str, **arguments: Any) -> InputContainer:  # noqa: ANN401
    try:
        container = av.open(url, mode="r", **arguments)
    except av.error.FFmpegError as error:
        raise describe(error) from None
    if not container.streams.video:
        container.close()
        raise CameraError(FailureReason.NOT_VIDEO, "there is no video in it")
    return cast("InputContainer", container)


class VideoStream:
    """The video of an open container, as `captured.Stream`."""

    def __init__(
        self,
        container: InputContainer,
        *,
        live: bool,
        file: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._container = container
        self._video = container.streams.video[0]
        # One core for each camera: many share the machine, and frame threads add a delay of their own.
        self._video.thread_count = 1
        self._live = live
        self._file = file
        self._clock = clock
        self._wall_minus_stream_s: float | None = None
        self._start_s = float((self._video.start_time or 0) * (self._video.time_base or 1))
        self._distrusted = False

    def frames(self) -> Iterator[StreamFrame]:
        """See `captured.Stream`."""
        try:
            for packet in self._container.demux(self._video):
                if self._live:
                    self._read_camera_clock(packet)
                for frame in self._decode(packet):
                    if frame.time is not None:
                        yield self._stream_frame(frame, float(frame.time))
        except av.error.FFmpegError as error:
            raise describe(error) from None

    def _decode(self, packet: Packet[ContainerVideo]) -> list[VideoFrame]:
        try:
            return self._video.decode(packet)
        except av.error.InvalidDataError:
            # One broken packet: the decoder goes on with the next. If none is good, the watchdog notices.
            return []

    def _read_camera_clock(self, packet: Packet[ContainerVideo]) -> None:
        """Learns what wall clock time the stream's own times stand for, from the camera's RTCP reports."""
        if packet.pts is None or packet.time_base is None or not packet.has_sidedata("prft"):
            return
        # AVProducerReferenceTime: int64 wall clock in microseconds, int flags.
        (wall_us,) = struct.unpack_from("=q", bytes(packet.get_sidedata("prft")))
        self._wall_minus_stream_s = wall_us / 1e6 - float(packet.pts * packet.time_base)

    def _stream_frame(self, frame: VideoFrame, time_s: float) -> StreamFrame:
        captured_at_s, clock = self._capture_time(time_s)
        return StreamFrame(
            time_s=time_s,
            captured_at_s=captured_at_s,
            clock=clock,
            picture=partial(_bgr, frame),
            media_time_s=None if self._live else max(0.0, time_s - self._start_s),
            file=self._file,
        )

    def _capture_time(self, time_s: float) -> tuple[float, Clock]:
        now_s = self._clock()
        if self._wall_minus_stream_s is None:
            return now_s, "arrival"
        captured_at_s = self._wall_minus_stream_s + time_s
        if abs(now_s - captured_at_s) <= CLOCK_TOLERANCE_S:
            return captured_at_s, "camera"
        if not self._distrusted:
            self._distrusted = True
            log.warning(
                "camera clock is wrong, the time of arrival is taken",
                extra={"skew_s": round(now_s - captured_at_s, 1), "tolerance_s": CLOCK_TOLERANCE_S},
            )
        return now_s, "arrival"

    def close(self) -> None:
        """Closes the container."""
        self._container.close()


def _bgr(frame: VideoFrame) -> Bgr:
    if frame.width * frame.height > MAX_PIXELS:
        raise OversizePicture(f"a frame of {frame.width} x {frame.height} pixels is over {MAX_PIXELS}")
    return np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
