"""Connects to an RTSP camera, and says why it cannot."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import av
import av.error
from av.container import InputContainer

from agegender.services.ingest.sources.decoding import PROBING_OPTIONS
from agegender.services.ingest.sources.rtsp.failures import TIMEOUTS, explained
from agegender.services.ingest.sources.rtsp.talk import RtspTalk, Transport, listening
from agegender.services.ingest.sources.stream import CameraError, FailureReason
from agegender.shared.cameras.camera import Camera
from agegender.shared.errors import SettingsError

_OPTIONS = {
    "allowed_media_types": "video",  # audio is never requested
    "analyzeduration": "200000",
    "buffer_size": "2000000",  # of a UDP socket: a keyframe may be larger than the system's default
}
_TCP_FIRST = {"rtsp_transport": "tcp+udp", "rtsp_flags": "prefer_tcp"}  # lost datagrams smear the picture
_UDP_ONLY = {"rtsp_transport": "udp"}
# Also after a redirect, which must not lead out of TLS.
_PROTOCOLS = {"rtsp": "rtsp,rtsps,tcp,tls,rtp,udp", "rtsps": "rtsps,tcp,tls"}
_PORTS = {"rtsp": 554, "rtsps": 322}
_MAYBE_NO_TCP = (FailureReason.REFUSED, FailureReason.NOT_VIDEO)
_SLOW_ANSWERS = 2  # a slow DESCRIBE comes twice with a login: refused, and then answered
_LONGEST_LOGIN = 127  # FFmpeg silently cuts off the rest

CONNECT_S = 1.5
"""The time limit for the TCP connection alone. One lost packet fits in. The next try follows soon."""


def opens_within_s(answer_s: float) -> float:
    """The longest time that `open_rtsp` takes: for TCP, for the answers, and for the first packets."""
    return CONNECT_S + 2 * _SLOW_ANSWERS * answer_s


@dataclass(frozen=True)
class RtspConnection:
    """An open camera."""

    container: InputContainer
    transport: Transport
    redirected_to: str | None
    """Host and port that the camera redirected us to."""


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


def open_rtsp(url: str, *, no_frame_s: float, answer_s: float) -> RtspConnection:
    """Opens an RTSP camera over TCP, or over UDP if it refuses TCP. Follows redirects.

    Args:
        url: the URL with the login.
        no_frame_s: the stream breaks if no packet arrives for this long.
        answer_s: how long the camera may take for one answer, and for its first packets. All of its answers
            together may take twice as long.

    Raises:
        CameraError: the camera cannot be opened. The text holds no login.
    """
    _check_host(url)
    redirected_to = None
    transport = _TCP_FIRST
    while True:
        with listening() as talk:
            try:
                container = _opened(url, transport, no_frame_s, answer_s, talk)
            except CameraError as error:
                next_url = _at_redirect(url, talk)
                if error.reason is FailureReason.LOGIN and next_url != url and redirected_to is None:
                    # FFmpeg gives the next camera the answer to the question of the one before.
                    url, redirected_to = next_url, talk.redirected_to
                elif error.reason in _MAYBE_NO_TCP and talk.has_no_tcp and transport is _TCP_FIRST:
                    transport = _UDP_ONLY
                else:
                    raise
            else:
                used: Transport = "udp" if transport is _UDP_ONLY else talk.transport
                return RtspConnection(container, used, talk.redirected_to or redirected_to)


def _at_redirect(url: str, talk: RtspTalk) -> str:
    """The URL that the camera redirected us to, with the login of `url`; without a redirect, `url`."""
    if talk.redirect_url is None or "@" in talk.redirect_url:
        return url
    login, at, _ = urlsplit(url).netloc.rpartition("@")
    scheme, _, rest = talk.redirect_url.partition("://")
    return f"{scheme}://{login}{at}{rest}"


def _check_host(url: str) -> None:
    """Raises CameraError unless the host accepts a connection within `CONNECT_S`.

    FFmpeg has one time limit for the connection and for the answers. An answer may take half a minute, and a
    connection must not: a camera that comes back would be noticed too late.
    """
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname, parts.port or _PORTS[parts.scheme]), CONNECT_S):
            return
    except (socket.gaierror, UnicodeError):
        raise CameraError(FailureReason.UNREACHABLE, "the name of the host is unknown") from None
    except ConnectionRefusedError:
        raise CameraError(FailureReason.REFUSED, "nothing listens at this address and port") from None
    except TimeoutError:
        raise CameraError(FailureReason.UNREACHABLE, f"no connection within {CONNECT_S:g} s") from None
    except OSError as error:
        raise CameraError(
            FailureReason.UNREACHABLE, f"the host cannot be reached: {error.strerror}"
        ) from None


def _opened(
    url: str, transport: dict[str, str], no_frame_s: float, answer_s: float, talk: RtspTalk
) -> InputContainer:
    started_s = time.monotonic()
    try:
        # This timeout interrupts any wait. FFmpeg's own, in the options, starts again at each read.
        return av.open(
            url,
            mode="r",
            options={
                **_OPTIONS,
                **transport,
                "protocol_whitelist": _PROTOCOLS[urlsplit(url).scheme],
                "timeout": str(round(max(answer_s, no_frame_s) * 1e6)),  # of each read
            },
            stream_options=PROBING_OPTIONS,
            timeout=(_SLOW_ANSWERS * answer_s, no_frame_s),
            metadata_errors="replace",  # the camera's title may be in any encoding
        )
    except av.error.FFmpegError as error:
        # FFmpeg reports an answer that the timeout cut short as invalid data, or as not permitted.
        is_vague = isinstance(error, (*TIMEOUTS, av.error.InvalidDataError, av.error.PermissionError))
        is_late = is_vague and time.monotonic() - started_s >= answer_s
        if is_late and not talk.redirects:
            raise CameraError(FailureReason.UNREACHABLE, f"no answer within {answer_s:g} s") from None
        raise explained(error, talk) from None
    except ValueError:
        # PyAV raises this if there is no stream to apply the stream options to. FFmpeg's errors are also
        # ValueErrors, so they are handled first.
        raise CameraError(FailureReason.NOT_VIDEO, "there is no video in it") from None
