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
from av.video.stream import VideoStream

from services.ingest.camera_clock import ClockTrust
from services.ingest.captured import CameraError, FailureReason, StreamFrame
from services.ingest.decoding import NO_FRAME, PROBING_OPTIONS, decoded, upright_bgr, video_of
from shared.cameras import Camera
from shared.errors import SettingsError
from shared.messages import Clock

_OPTIONS = {
    "rtsp_transport": "tcp",  # over UDP, lost packets smear the picture
    "allowed_media_types": "video",  # what people say before the camera is never even sent
    "analyzeduration": "200000",
    "protocol_whitelist": "tcp,tls",  # wherever the camera sends us
}
_CONNECT_S = 4.0  # for the connection, and once more for the first packets
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


def open_rtsp(camera: Camera, trust: ClockTrust, no_frame_s: float) -> RtspStream:
    """Opens an RTSP camera over TCP.

    Args:
        camera: which, with its login.
        trust: judges the camera's clock; the same for all streams of the camera.
        no_frame_s: the stream breaks when no frame comes for this long.

    Raises:
        CameraError: with the reason, and without the login.
    """
    return RtspStream(open_container(camera, no_frame_s), trust, no_frame_s)


def open_container(camera: Camera, no_frame_s: float) -> InputContainer:
    """The connection to an RTSP camera, for what `RtspStream` does not tell; raises CameraError."""
    try:
        url = camera.url_with_login()
    except SettingsError as error:
        raise CameraError(FailureReason.SETTINGS, str(error)) from None
    if len(url) - len(camera.source) - 1 > _LONGEST_LOGIN:
        raise CameraError(
            FailureReason.SETTINGS, f"user and password are longer than {_LONGEST_LOGIN} signs, encoded"
        )
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


class RtspStream:
    """The video of an open RTSP connection, as `captured.Stream`."""

    def __init__(self, container: InputContainer, trust: ClockTrust, no_frame_s: float) -> None:
        self._container = container
        self._video = video_of(container)
        self._trust = trust
        self._no_frame_s = no_frame_s
        self._wall_minus_stream_s: float | None = None

    def frames(self) -> Iterator[StreamFrame]:
        """See `captured.Stream`."""
        seen_at_s = time.monotonic()
        try:
            for packet in self._container.demux(self._video):
                self._wall_minus_stream_s = camera_clock(packet) or self._wall_minus_stream_s
                for frame in decoded(self._video, packet):
                    seen_at_s = time.monotonic()
                    # The first frame of a connection has no time: FFmpeg counts from the second on.
                    if frame.time is not None:
                        time_s = float(frame.time)
                        yield StreamFrame(time_s, *self._capture_time(time_s), partial(upright_bgr, frame))
                if time.monotonic() - seen_at_s > self._no_frame_s:
                    raise CameraError(FailureReason.NO_FRAME, f"what comes {NO_FRAME}")
        except _TIMEOUTS:
            raise CameraError(FailureReason.NO_FRAME, f"no frame for {self._no_frame_s:g} s") from None
        except av.error.FFmpegError as error:
            raise explained(error) from None

    def _capture_time(self, time_s: float) -> tuple[float, Clock]:
        now_s = time.time()
        if self._wall_minus_stream_s is not None:
            captured_at_s = self._wall_minus_stream_s + time_s
            if self._trust.accepts(captured_at_s, now_s):
                return captured_at_s, "camera"
        return now_s, "arrival"

    def close(self) -> None:
        """Says goodbye to the camera and closes the connection."""
        self._container.close()
