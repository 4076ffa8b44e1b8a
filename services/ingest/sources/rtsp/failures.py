"""FFmpeg's errors in our own words, because FFmpeg's text repeats the URL with its login."""

from __future__ import annotations

import errno

import av.error

from agegender.services.ingest.sources.rtsp.talk import MOST_REDIRECTS, RtspTalk
from agegender.services.ingest.sources.stream import CameraError, FailureReason

TIMEOUTS = (av.error.ExitError, av.error.TimeoutError)

_REASONS: tuple[tuple[type[Exception], FailureReason, str], ...] = (
    (av.error.HTTPUnauthorizedError, FailureReason.LOGIN, "the user or the password is wrong or missing"),
    (av.error.HTTPForbiddenError, FailureReason.LOGIN, "this user may not see the stream"),
    (av.error.HTTPNotFoundError, FailureReason.NOT_FOUND, "the camera has no stream under this path"),
    (av.error.HTTPClientError, FailureReason.REFUSED, "the camera refuses the request"),
    (av.error.HTTPServerError, FailureReason.REFUSED, "the camera fails; it may have too many viewers"),
    (av.error.ConnectionRefusedError, FailureReason.REFUSED, "nothing listens at this address and port"),
    (
        av.error.InvalidDataError,
        FailureReason.NOT_VIDEO,
        "the answer is no RTSP or no video, or it ends too early",
    ),
    (av.error.EOFError, FailureReason.ENDED, "the camera closed the connection"),
    (av.error.ConnectionResetError, FailureReason.ENDED, "the camera closed the connection"),
    (av.error.BrokenPipeError, FailureReason.ENDED, "the camera closed the connection"),
    # FFmpeg gives this number of no meaning if the connection ends instead of an answer.
    (av.error.PermissionError, FailureReason.ENDED, "the camera closed the connection"),
    (OSError, FailureReason.UNREACHABLE, "the host cannot be reached or its name is unknown"),
)

# RFC 2326, section 11.3, and RFC 9110, section 15.
_STATUSES = {
    406: "it does not offer this stream",
    410: "the stream is gone",
    429: "too many requests",
    451: "it does not understand a parameter",
    453: "not enough bandwidth; it may have too many viewers",
    454: "it does not know the session",
    455: "not at this moment",
    500: "an error of its own",
    501: "it does not know this method",
    503: "it is busy, starts up or has too many viewers",
    505: "it does not speak RTSP 1.0",
}


def explained(error: av.error.FFmpegError, talk: RtspTalk | None = None) -> CameraError:
    """`error` in our own words.

    Args:
        error: of FFmpeg.
        talk: with the camera while it was opened, if there is one. It tells more than the error.
    """
    told = None if talk is None else _by_talk(error, talk)
    if told is None:
        told = _by_error(error)
    if talk is None or talk.redirected_to is None:
        return told
    return CameraError(told.reason, f"{told}, after the camera redirected us to {talk.redirected_to}")


def _by_error(error: av.error.FFmpegError) -> CameraError:
    for kind, reason, text in _REASONS:
        if isinstance(error, kind):
            return CameraError(reason, text)
    return CameraError(FailureReason.NOT_VIDEO, error.strerror or type(error).__name__)


def _by_talk(error: av.error.FFmpegError, talk: RtspTalk) -> CameraError | None:
    if talk.redirects > MOST_REDIRECTS:
        return CameraError(FailureReason.UNSUPPORTED, "the camera redirects in a circle")
    if talk.is_badly_redirected:
        return CameraError(
            FailureReason.UNSUPPORTED, "the camera redirects us to an address that is no RTSP URL"
        )
    if isinstance(error, av.error.HTTPUnauthorizedError) and (login := talk.unknown_login) is not None:
        return CameraError(
            FailureReason.UNSUPPORTED,
            f"the camera asks for a login by {login}, which FFmpeg does not know: "
            "allow Digest MD5 or Basic in the camera",
        )
    if error.errno == errno.EPROTONOSUPPORT:
        return CameraError(
            FailureReason.UNSUPPORTED, "the camera sends neither over TCP nor to us alone over UDP"
        )
    is_refusal = isinstance(error, av.error.HTTPClientError | av.error.HTTPServerError)
    if not is_refusal or talk.refusal is None:
        return None
    method, status = talk.refusal
    if status in (401, 403, 404):
        return None
    why = f": {_STATUSES[status]}" if status in _STATUSES else ""
    return CameraError(FailureReason.REFUSED, f"the camera refuses {method} with {status}{why}")
