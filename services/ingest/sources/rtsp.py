"""RTSP cameras, through PyAV."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
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
    upright_bgr,
    video_of,
)
from agegender.services.ingest.sources.stream import CameraError, FailureReason
from agegender.shared.cameras.camera import Camera
from agegender.shared.errors import SettingsError
from agegender.shared.images.pictures import Bgr

_OPTIONS = {
    "rtsp_transport": "tcp",  # over UDP, lost packets smear the picture
    "allowed_media_types": "video",  # what people say before the camera is never even sent
    "analyzeduration": "200000",
    "protocol_whitelist": "tcp,tls",  # wherever the camera sends us
}
_CONNECT_S = 4.0  # for the connection, and once more for the first packets
OPENS_WITHIN_S = 2 * _CONNECT_S
_LONGEST_LOGIN = 127  # FFmpeg cuts off the rest, without a word

_REASONS: tuple[tuple[type[Exception], FailureReason, str], ...] = (
    (av.error.HTTPUnauthorizedError, FailureReason.LOGIN, "user or password wrong, or missing"),
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
    """The URL to open, never to be logged; raises CameraError when the login is missing or too long."""
    try:
        url = camera.url_with_login()
    except SettingsError as error:
        raise CameraError(FailureReason.SETTINGS, str(error)) from None
    if len(url) - len(camera.source) - 1 > _LONGEST_LOGIN:
        raise CameraError(
            FailureReason.SETTINGS, f"user and password are longer than {_LONGEST_LOGIN} signs, encoded"
        )
    return url


def open_container(url: str, no_frame_s: float) -> InputContainer:
    """Opens an RTSP camera over TCP.

    Args:
        url: with the login.
        no_frame_s: the stream breaks when no frame comes for this long.

    Raises:
        CameraError: with the reason, and without the login.
    """
    connect_s = min(_CONNECT_S, no_frame_s)
    started_s = time.monotonic()
    try:
        # Interrupts FFmpeg wherever it waits; its own timeout counts each read of the socket anew.
        return av.open(
            url,
            mode="r",
            options=_OPTIONS,
            stream_options=PROBING_OPTIONS,
            timeout=(connect_s, no_frame_s),
            metadata_errors="replace",  # the camera's title may be in any encoding
        )
    except av.error.FFmpegError as error:
        # FFmpeg calls an answer that was cut short by the timeout invalid data.
        if isinstance(error, (*_TIMEOUTS, av.error.InvalidDataError)) and (
            time.monotonic() - started_s >= connect_s
        ):
            raise CameraError(FailureReason.UNREACHABLE, f"no answer within {connect_s:g} s") from None
        raise explained(error) from None
    except ValueError:
        # PyAV finds no stream that the options for streams could be for. It is FFmpeg's errors too, above.
        raise CameraError(FailureReason.NOT_VIDEO, "there is no video in it") from None


def explained(error: av.error.FFmpegError) -> CameraError:
    """`error` in words of ours: FFmpeg's own repeat the URL with its login."""
    for kind, reason, text in _REASONS:
        if isinstance(error, kind):
            return CameraError(reason, text)
    return CameraError(FailureReason.NOT_VIDEO, error.strerror or type(error).__name__)


def camera_clock(packet: Packet[VideoStream]) -> float | None:
    """The wall clock by the camera, as its RTCP reports tell, minus the stream's own time, in seconds.

    None for the many packets that do not tell.
    """
    if packet.pts is None or packet.time_base is None or not packet.has_sidedata("prft"):
        return None
    # AVProducerReferenceTime: int64 wall clock in microseconds, int flags.
    (wall_us,) = struct.unpack_from("=q", bytes(packet.get_sidedata("prft")))
    return float(wall_us / 1e6 - float(packet.pts * packet.time_base))


@dataclass(frozen=True, slots=True)
class RtspFrame:
    """One decoded frame, its pixels not yet converted: most frames are never looked at."""

    time_s: float
    """On the stream's own clock."""
    arrived_at_s: float
    """When it was decoded, seconds since 1970 by our clock."""
    camera_time_s: float | None
    """When it was captured, seconds since 1970 by the camera's clock; None while it has told no time."""
    picture: Callable[[], Bgr]
    """Gives the pixels; may raise UnreadablePicture."""


class RtspStream:
    """The video of an open RTSP connection."""

    def __init__(self, container: InputContainer, no_frame_s: float) -> None:
        self._container = container
        self._video = video_of(container)
        self._no_frame_s = no_frame_s
        self._wall_minus_stream_s: float | None = None

    def frames(self) -> Iterator[RtspFrame]:
        """Blocks for each next frame; raises CameraError when the stream breaks."""
        seen_at_s = time.monotonic()
        try:
            for packet in self._container.demux(self._video):
                self._wall_minus_stream_s = camera_clock(packet) or self._wall_minus_stream_s
                for frame in decoded(self._video, packet):
                    seen_at_s = time.monotonic()
                    # The first frame of a connection has no time: FFmpeg counts from the second on.
                    if frame.time is not None:
                        time_s = float(frame.time)
                        yield self._frame(frame, time_s)
                if time.monotonic() - seen_at_s > self._no_frame_s:
                    raise CameraError(FailureReason.NO_FRAME, f"what comes {NO_FRAME}")
        except _TIMEOUTS:
            raise CameraError(FailureReason.NO_FRAME, f"no frame for {self._no_frame_s:g} s") from None
        except av.error.FFmpegError as error:
            raise explained(error) from None

    def _frame(self, frame: VideoFrame, time_s: float) -> RtspFrame:
        wall_s = self._wall_minus_stream_s
        camera_time_s = None if wall_s is None else wall_s + time_s
        return RtspFrame(time_s, time.time(), camera_time_s, partial(upright_bgr, frame))

    def close(self) -> None:
        """Says goodbye to the camera and closes the connection."""
        self._container.close()
