"""Opens a camera for a few seconds and finds out what it sends, and what is wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import av.error
import numpy as np
from av.container import InputContainer

from agegender.services.ingest.camera_clock import CLOCK_TOLERANCE_S
from agegender.services.ingest.sources.decoding import decoded, video_of
from agegender.services.ingest.sources.rtsp.connection import open_rtsp, url_with_login
from agegender.services.ingest.sources.rtsp.failures import TIMEOUTS, explained
from agegender.services.ingest.sources.rtsp.stream import camera_clock, no_packet
from agegender.services.ingest.sources.rtsp.talk import Transport
from agegender.services.ingest.sources.stream import ANSWER_S, KEYFRAME_S, CameraError, FailureReason
from agegender.services.ingest.sources.video_file import open_video
from agegender.services.ingest.sources.webcam import WebcamStream
from agegender.shared.cameras.camera import Camera
from agegender.shared.process.secrets import mask_named

LoginOutcome = Literal["none", "accepted", "refused", "missing", "unknown"]

_SILENCE_S = 5.0
_SLOW_FPS = 5.0
_LONG_KEYFRAME_S = 4.0
_IRREGULAR = 1.5
_SLOW_START_S = 4.0
_SMALL_PX = 640
_LARGE_PIXELS = 2_600_000  # a little over 1080p


@dataclass
class ProbedCamera:
    """What was found. Fields are None where nothing could be told."""

    camera_id: str
    source: str
    problem: str | None = None
    """Why the camera gives no frames."""
    reason: str | None = None
    """The same in a word, as the metrics of ingest call it."""
    warnings: list[str] = field(default_factory=list)
    """What works and could be better."""
    login: LoginOutcome = "unknown"
    codec: str | None = None
    width_px: int | None = None
    height_px: int | None = None
    fps: float | None = None
    """Frames a second, measured by the stream's own clock."""
    keyframe_s: float | None = None
    """Seconds from one keyframe to the next."""
    keyframe_over_s: float | None = None
    """The longest time without a keyframe, if there was no second one, or if it is much longer than usual."""
    transport: Transport | None = None
    """How an RTSP camera sends its packets."""
    redirected_to: str | None = None
    """Host and port of the RTSP camera that answered in the end, after a redirect."""
    bytes_per_s: float | None = None
    clock: Literal["camera", "arrival"] | None = None
    """The clock that gives the frames their time."""
    clock_skew_s: float | None = None
    """Our clock minus the camera's, where it has one; network and decoding included."""
    opened_s: float | None = None
    """From the start of the connection until an RTSP stream began."""
    first_frame_s: float | None = None
    """From the start of the connection to the first picture."""
    undecodable: int = 0
    """Packets of which no frame came, after the first that gave one."""

    @property
    def ok(self) -> bool:
        """Whether frames come."""
        return self.problem is None


def probe(camera: Camera, seconds: float, answer_s: float = ANSWER_S) -> ProbedCamera:
    """Watches `camera` for so many seconds from its first frame on. What goes wrong is found, not raised.

    `answer_s`: how long an RTSP camera may take to answer.
    """
    found = ProbedCamera(camera.id, mask_named(camera.source))
    try:
        if camera.webcam_index is not None:
            _probe_webcam(camera.webcam_index, found, seconds)
        elif camera.is_rtsp:
            _probe_rtsp(camera, found, seconds, answer_s)
        else:
            _probe_file(camera, found, seconds)
    except CameraError as error:
        found.problem, found.reason = str(error), error.reason.value
        if error.reason is FailureReason.LOGIN:
            found.login = "missing" if camera.username is None else "refused"
    found.warnings += _warnings(found)
    return found


def _probe_rtsp(camera: Camera, found: ProbedCamera, seconds: float, answer_s: float) -> None:
    started_s = time.monotonic()
    opened = open_rtsp(url_with_login(camera), no_frame_s=_SILENCE_S, answer_s=answer_s)
    found.login = "none" if camera.username is None else "accepted"
    found.opened_s = time.monotonic() - started_s
    found.transport, found.redirected_to = opened.transport, opened.redirected_to
    try:
        _watch(opened.container, found, started_s, seconds, is_live=True)
    except TIMEOUTS:
        raise no_packet(_SILENCE_S, opened) from None
    except av.error.FFmpegError as error:
        raise explained(error) from None
    finally:
        opened.container.close()


def _probe_file(camera: Camera, found: ProbedCamera, seconds: float) -> None:
    started_s = time.monotonic()
    if Path(camera.source).is_dir():
        raise CameraError(
            FailureReason.NOT_VIDEO, "a folder of pictures is no stream, there is nothing to probe"
        )
    with open_video(camera.source) as container:
        try:
            _watch(container, found, started_s, seconds, is_live=False)
        except av.error.FFmpegError as error:
            raise explained(error) from None


def _watch(
    container: InputContainer, found: ProbedCamera, started_s: float, seconds: float, *, is_live: bool
) -> None:
    video = video_of(container)
    found.codec = video.codec_context.name
    times_s: list[float] = []
    keyframes_s: list[float] = []
    size_bytes = 0
    wall_minus_stream_s: float | None = None
    watch = _Watch(time.monotonic(), seconds)
    for packet in container.demux(video):
        if packet.is_keyframe or not is_live:
            watch.has_keyframe()
        if watch.is_over() or (not is_live and times_s and times_s[-1] - times_s[0] > seconds):
            break
        frames = decoded(video, packet) or []
        if not frames and found.width_px is not None and packet.size:
            found.undecodable += 1
        for frame in frames:
            watch.has_begun()
            found.width_px, found.height_px = frame.width, frame.height
            found.first_frame_s = found.first_frame_s or time.monotonic() - started_s
        if packet.pts is None or packet.time_base is None:
            continue
        time_s = float(packet.pts * packet.time_base)
        if times_s:
            size_bytes += packet.size
        times_s.append(time_s)
        if packet.is_keyframe:
            keyframes_s.append(time_s)
        wall_minus_stream_s = camera_clock(packet) or wall_minus_stream_s
        if wall_minus_stream_s is not None and frames and is_live:
            found.clock_skew_s = time.time() - (wall_minus_stream_s + time_s)
    if found.width_px is None:
        raise CameraError(FailureReason.NO_FRAME, f"no frame that can be decoded within {seconds:g} s")
    _sum_up(found, times_s, keyframes_s, size_bytes)
    if is_live:
        if watch.longest_wait_s > _IRREGULAR * (found.keyframe_s or 0.0):
            found.keyframe_over_s = watch.longest_wait_s
        trusted = found.clock_skew_s is not None and abs(found.clock_skew_s) <= CLOCK_TOLERANCE_S
        found.clock = "camera" if trusted else "arrival"


class _Watch:
    """How long to watch: so many seconds from the first keyframe on, because the picture begins with it."""

    def __init__(self, opened_at_s: float, seconds: float) -> None:
        self._keyframe_at_s = opened_at_s
        self._seconds = seconds
        self._begun_at_s: float | None = None
        self._until_s = opened_at_s + KEYFRAME_S
        self._longest_s = 0.0

    def has_begun(self) -> None:
        """A frame came."""
        if self._begun_at_s is None:
            self._begun_at_s = time.monotonic()
            self._until_s = self._begun_at_s + self._seconds

    def has_keyframe(self) -> None:
        """A keyframe came."""
        self.has_begun()
        self._longest_s, self._keyframe_at_s = self.longest_wait_s, time.monotonic()

    def is_over(self) -> bool:
        """Whether the time is up. Raises CameraError if no keyframe came in time."""
        if time.monotonic() <= self._until_s:
            return False
        if self._begun_at_s is None:
            raise CameraError(FailureReason.NO_KEYFRAME, f"no keyframe within {KEYFRAME_S:g} s of video")
        return True

    @property
    def longest_wait_s(self) -> float:
        """The longest time without a keyframe so far."""
        return max(self._longest_s, time.monotonic() - self._keyframe_at_s)


def _sum_up(found: ProbedCamera, times_s: list[float], keyframes_s: list[float], size_bytes: int) -> None:
    span_s = max(times_s) - min(times_s) if times_s else 0.0
    if span_s > 0:
        found.fps = (len(times_s) - 1) / span_s
        found.bytes_per_s = size_bytes / span_s
    if len(keyframes_s) > 1:
        found.keyframe_s = float(np.median(np.diff(keyframes_s)))


def _probe_webcam(index: int, found: ProbedCamera, seconds: float) -> None:
    started_s = time.monotonic()
    stream = WebcamStream(index)
    found.login, found.clock = "none", "arrival"
    times_s: list[float] = []
    try:
        for frame in stream.frames():
            if found.width_px is None:
                found.height_px, found.width_px = frame.picture().shape[:2]
                found.first_frame_s = time.monotonic() - started_s
            times_s.append(frame.captured_at_s)
            if time.monotonic() > started_s + seconds:
                break
    finally:
        stream.close()
    _sum_up(found, times_s, [], 0)
    found.bytes_per_s = None


def _warnings(found: ProbedCamera) -> Iterator[str]:
    if found.clock_skew_s is not None and found.clock == "arrival":
        way = "behind" if found.clock_skew_s > 0 else "ahead of"
        yield (
            f"its clock is {abs(found.clock_skew_s):.0f} s {way} ours, so the time of arrival is taken: "
            "give the camera a time server"
        )
    if found.fps is not None and found.fps < _SLOW_FPS:
        yield f"only {found.fps:.1f} frames a second: quick passers-by are missed"
    if (rarely_s := found.keyframe_over_s or found.keyframe_s or 0.0) > _LONG_KEYFRAME_S:
        often = "less often than every" if found.keyframe_over_s else "only every"
        yield (
            f"a keyframe {often} {rarely_s:.0f} s: after each reconnect the first picture comes "
            "that late. Set the interval to 1 or 2 s in the camera"
        )
    if found.transport == "udp":
        yield "it sends over UDP only: lost packets smear the picture. Allow TCP in the camera if it can"
    if found.redirected_to is not None:
        yield f"it redirects to {found.redirected_to}: give that address, and each connection is quicker"
    if found.ok and found.opened_s is not None and found.opened_s > _SLOW_START_S:
        yield f"its stream begins only after {found.opened_s:.0f} s, and so late after each reconnect"
    width_px, height_px = found.width_px or 0, found.height_px or 0
    if 0 < max(width_px, height_px) < _SMALL_PX:
        yield f"{width_px} x {height_px} pixels are few: only faces close by are large enough to classify"
    if width_px * height_px > _LARGE_PIXELS:
        yield (
            f"{width_px} x {height_px} pixels take much of a core to decode, and are shrunk anyway: "
            "a smaller stream of the same camera does as well"
        )
    if found.undecodable:
        yield f"{found.undecodable} packets could not be decoded: something is lost on the way"
