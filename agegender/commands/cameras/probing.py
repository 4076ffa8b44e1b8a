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
from agegender.services.ingest.sources.rtsp import camera_clock, explained, open_container, url_with_login
from agegender.services.ingest.sources.stream import CameraError, FailureReason
from agegender.services.ingest.sources.video_file import open_video
from agegender.services.ingest.sources.webcam import WebcamStream
from agegender.shared.cameras.camera import Camera
from agegender.shared.process.secrets import mask_named

LoginOutcome = Literal["none", "accepted", "refused", "missing", "unknown"]

_SILENCE_S = 5.0
_SLOW_FPS = 5.0
_LONG_KEYFRAME_S = 4.0
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
    bytes_per_s: float | None = None
    clock: Literal["camera", "arrival"] | None = None
    """The clock that gives the frames their time."""
    clock_skew_s: float | None = None
    """Our clock minus the camera's, where it has one; network and decoding included."""
    first_frame_s: float | None = None
    """From the start of the connection to the first picture."""
    undecodable: int = 0
    """Packets of which no frame came, after the first that gave one."""

    @property
    def ok(self) -> bool:
        """Whether frames come."""
        return self.problem is None


def probe(camera: Camera, seconds: float) -> ProbedCamera:
    """Watches `camera` for so many seconds; what goes wrong with it is found rather than raised."""
    found = ProbedCamera(camera.id, mask_named(camera.source))
    try:
        if camera.webcam_index is not None:
            _probe_webcam(camera.webcam_index, found, seconds)
        else:
            _probe_stream(camera, found, seconds)
    except CameraError as error:
        found.problem, found.reason = str(error), error.reason.value
        if error.reason is FailureReason.LOGIN:
            found.login = "missing" if camera.username is None else "refused"
    found.warnings += _warnings(found)
    return found


def _probe_stream(camera: Camera, found: ProbedCamera, seconds: float) -> None:
    started_s = time.monotonic()
    container = _opened(camera)
    if camera.is_rtsp:
        found.login = "none" if camera.username is None else "accepted"
    try:
        _watch(container, found, started_s, seconds, is_live=camera.is_live)
    except (av.error.ExitError, av.error.TimeoutError):
        raise CameraError(FailureReason.NO_FRAME, f"no frame for {_SILENCE_S:g} s") from None
    except av.error.FFmpegError as error:
        raise explained(error) from None
    finally:
        container.close()


def _opened(camera: Camera) -> InputContainer:
    if camera.is_rtsp:
        return open_container(url_with_login(camera), _SILENCE_S)
    if Path(camera.source).is_dir():
        raise CameraError(
            FailureReason.NOT_VIDEO, "a folder of pictures is no stream, there is nothing to probe"
        )
    return open_video(camera.source)


def _watch(
    container: InputContainer, found: ProbedCamera, started_s: float, seconds: float, *, is_live: bool
) -> None:
    video = video_of(container)
    found.codec = video.codec_context.name
    until_s = time.monotonic() + seconds
    times_s: list[float] = []
    keyframes_s: list[float] = []
    size_bytes = 0
    wall_minus_stream_s: float | None = None
    for packet in container.demux(video):
        if time.monotonic() > until_s or (not is_live and times_s and times_s[-1] - times_s[0] > seconds):
            break
        frames = decoded(video, packet) or []
        if not frames and found.width_px is not None and packet.size:
            found.undecodable += 1
        for frame in frames:
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
        trusted = found.clock_skew_s is not None and abs(found.clock_skew_s) <= CLOCK_TOLERANCE_S
        found.clock = "camera" if trusted else "arrival"


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
    if found.keyframe_s is not None and found.keyframe_s > _LONG_KEYFRAME_S:
        yield (
            f"a keyframe only every {found.keyframe_s:.0f} s: after each reconnect the first picture comes "
            "that late. Set the interval to 1 or 2 s in the camera"
        )
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
