"""RTSP cameras, through PyAV."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from functools import partial

import av
import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from agegender.services.ingest.sources.decoding import (
    NO_FRAME,
    PROBING_OPTIONS,
    decoded,
    pixel_aspect,
    upright_bgr,
    video_of,
)
from agegender.services.ingest.sources.stream import CameraError, FailureReason, StreamFrame
from agegender.shared.cameras.camera import Camera
from agegender.shared.errors import SettingsError

_OPTIONS = {
    "rtsp_transport": "tcp",  # over UDP, lost packets smear the picture
    "allowed_media_types": "video",  # audio is never requested
    "analyzeduration": "200000",
    "protocol_whitelist": "tcp,tls",  # also after a redirect
}
_CONNECT_S = 4.0  # for the connection, and once more for the first packets
OPENS_WITHIN_S = 2 * _CONNECT_S
_LONGEST_LOGIN = 127  # FFmpeg silently cuts off the rest

_REASONS: tuple[tuple[type[Exception], FailureReason, str], ...] = (
    (av.error.HTTPUnauthorizedError, FailureReason.LOGIN, "the user or the password is wrong or missing"),
    (av.error.HTTPForbiddenError, FailureReason.LOGIN, "this user may not see the stream"),
    (av.error.HTTPNotFoundError, FailureReason.NOT_FOUND, "the camera has no stream under this path"),
    (av.error.HTTPClientError, FailureReason.REFUSED, "the camera refuses the request"),
    (av.error.HTTPServerError, FailureReason.REFUSED, "the camera fails; it may have too many viewers"),
    (av.error.ConnectionRefusedError, FailureReason.REFUSED, "nothing listens at this address and port"),
    (av.error.InvalidDataError, FailureReason.NOT_VIDEO, "the answer is no RTSP, or no video"),
    (av.error.EOFError, FailureReason.ENDED, "the camera closed the connection"),
    (av.error.ConnectionResetError, FailureReason.ENDED, "the camera closed the connection"),
    (av.error.BrokenPipeError, FailureReason.ENDED, "the camera closed the connection"),
    (OSError, FailureReason.UNREACHABLE, "the host cannot be reached or its name is unknown"),
)
_TIMEOUTS = (av.error.ExitError, av.error.TimeoutError)


def url_with_login(camera: Camera) -> str:
    """The URL with the login, which must never be logged.

    Raises:
        CameraError: the login is missing or too long.
    """
    try:
        url = camera.url_with_login()
    except SettingsError as error:
        raise CameraError(FailureReason.SETTINGS, str(error)) from None
    if len(url) - len(camera.source) - 1 > _LONGEST_LOGIN:
        raise CameraError(
            FailureReason.SETTINGS,
            f"user and password are longer than {_LONGEST_LOGIN} characters when URL-encoded: shorten them",
        )
    return url


def open_container(url: str, no_frame_s: float) -> InputContainer:
    """Opens an RTSP camera over TCP.

    Args:
        url: the URL with the login.
        no_frame_s: the stream breaks if no frame arrives for this long.

    Raises:
        CameraError: the camera cannot be opened. The text holds no login.
    """
    connect_s = min(_CONNECT_S, no_frame_s)
    started_s = time.monotonic()
    try:
        # This timeout interrupts any wait. FFmpeg's own timeout starts again at each read of the socket.
        return av.open(
            url,
            mode="r",
            options=_OPTIONS,
            stream_options=PROBING_OPTIONS,
            timeout=(connect_s, no_frame_s),
            metadata_errors="replace",  # the camera's title may be in any encoding
        )
    except av.error.FFmpegError as error:
        # FFmpeg reports an answer that the timeout cut short as invalid data.
        if isinstance(error, (*_TIMEOUTS, av.error.InvalidDataError)) and (
            time.monotonic() - started_s >= connect_s
        ):
            raise CameraError(FailureReason.UNREACHABLE, f"no answer within {connect_s:g} s") from None
        raise explained(error) from None
    except ValueError:
        # PyAV raises this if there is no stream to apply the stream options to. FFmpeg's errors are also
        # ValueErrors, so they are handled first.
        raise CameraError(FailureReason.NOT_VIDEO, "there is no video in it") from None


def explained(error: av.error.FFmpegError) -> CameraError:
    """`error` in our own words, because FFmpeg's text repeats the URL with its login."""
    for kind, reason, text in _REASONS:
        if isinstance(error, kind):
            return CameraError(reason, text)
    return CameraError(FailureReason.NOT_VIDEO, error.strerror or type(error).__name__)


def camera_clock(packet: Packet[VideoStream]) -> float | None:
    """The camera's wall clock, from its RTCP reports, minus the time of the stream, in seconds.

    None for packets without a clock. Most packets have none.
    """
    if packet.pts is None or packet.time_base is None or not packet.has_sidedata("prft"):
        return None
    # AVProducerReferenceTime: int64 wall clock in microseconds, int flags.
    (wall_us,) = struct.unpack_from("=q", bytes(packet.get_sidedata("prft")))
    return float(wall_us / 1e6 - float(packet.pts * packet.time_base))


class RtspStream:
    """The video of an open RTSP connection."""

    def __init__(self, container: InputContainer, no_frame_s: float) -> None:
        self._container = container
        self._video = video_of(container)
        self._no_frame_s = no_frame_s
        self._wall_minus_stream_s: float | None = None

    def frames(self) -> Iterator[StreamFrame]:
        """See `stream.Stream`. `captured_at_s` is the arrival: the worker checks the camera's clock."""
        seen_at_s = time.monotonic()
        try:
            for packet in self._container.demux(self._video):
                self._wall_minus_stream_s = camera_clock(packet) or self._wall_minus_stream_s
                for frame in decoded(self._video, packet) or ():
                    seen_at_s = time.monotonic()
                    # The first frame of a connection has no time: FFmpeg counts from the second frame.
                    if frame.time is not None:
                        time_s = float(frame.time)
                        yield self._frame(frame, time_s)
                if time.monotonic() - seen_at_s > self._no_frame_s:
                    raise CameraError(
                        FailureReason.NO_FRAME, f"no frame for {self._no_frame_s:g} s: each one {NO_FRAME}"
                    )
        except _TIMEOUTS:
            raise CameraError(FailureReason.NO_FRAME, f"no frame for {self._no_frame_s:g} s") from None
        except av.error.FFmpegError as error:
            raise explained(error) from None

    def _frame(self, frame: VideoFrame, time_s: float) -> StreamFrame:
        wall_s = self._wall_minus_stream_s
        camera_time_s = None if wall_s is None else wall_s + time_s
        return StreamFrame(
            time_s,
            time.time(),
            "arrival",
            partial(upright_bgr, frame, pixel_aspect(self._video), is_live=True),
            camera_time_s=camera_time_s,
        )

    def close(self) -> None:
        """Ends the session with the camera and closes the connection."""
        self._container.close()
