"""Video files, through PyAV."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import av.error
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from agegender.services.ingest.sources.cut_short import is_cut_short
from agegender.services.ingest.sources.decoding import (
    NO_FRAME,
    PROBING_OPTIONS,
    decoded,
    pixel_aspect,
    upright_bgr,
    video_of,
)
from agegender.services.ingest.sources.media_clock import MediaClock
from agegender.services.ingest.sources.stream import CameraError, FailureReason, StreamFrame, shown_path
from agegender.services.ingest.sources.webp_animation import WebpAnimation, is_webp

log = logging.getLogger(__name__)

# FFmpeg's names of all formats that contain their pictures. Excluded are formats that open other files
# (playlists, lists of files, session descriptions) and plain text, which FFmpeg plays as a terminal.
_FORMATS = (
    "3gp",
    "apng",
    "asf",
    "avi",
    "dv",
    "flv",
    "gif",
    "h261",
    "h263",
    "h264",
    "hevc",
    "ivf",
    "m4v",
    "matroska",
    "mjpeg",
    "mjpeg_2000",
    "mov",
    "mp4",
    "mpeg",
    "mpegts",
    "mpegvideo",
    "mxf",
    "nsv",
    "nut",
    "obu",
    "ogg",
    "rm",
    "swf",
    "vc1",
    "vvc",
    "webm",
    "wtv",
    "yuv4mpegpipe",
)
_OPTIONS = {"format_whitelist": ",".join(_FORMATS), "protocol_whitelist": "file"}
_USUAL_FPS = 25
_LONGEST_S = 10 * 365 * 86_400.0  # no real video is longer

# Errors of the system when it cannot open a file. FFmpeg uses other numbers for broken files.
_NOT_OPENED = (
    errno.EACCES,
    errno.EISDIR,
    errno.ELOOP,
    errno.ENAMETOOLONG,
    errno.ENOENT,
    errno.ENOTDIR,
    errno.EPERM,
)


def open_video(path: str) -> InputContainer:
    """Opens a video file, for what `VideoFileStream` does not offer. Raises CameraError."""
    try:
        return _opened(path)
    except av.error.ArgumentError:
        raise CameraError(
            FailureReason.NOT_VIDEO, "this is a text, a playlist or another file that is not a video"
        ) from None
    except av.error.FFmpegError as error:
        if error.errno in _NOT_OPENED:
            raise CameraError(FailureReason.NOT_FOUND, f"cannot be read: {error.strerror}") from None
        raise CameraError(FailureReason.NOT_VIDEO, "it holds no video that can be decoded") from None


def _opened(path: str) -> InputContainer:
    # Without the prefix, FFmpeg reads the part of a name before a colon as a protocol.
    url = f"file:{path}"
    try:
        return av.open(
            url, mode="r", options=_OPTIONS, stream_options=PROBING_OPTIONS, metadata_errors="replace"
        )
    except ValueError:
        # PyAV refuses stream options for formats that show their streams only while decoding: FLV, MPEG PS.
        return av.open(url, mode="r", options=_OPTIONS, metadata_errors="replace")


def video_stream(path: str) -> VideoFileStream | WebpAnimation:
    """Opens a video or an animated picture. Raises CameraError."""
    return WebpAnimation(path) if is_webp(path) else VideoFileStream(path)


class VideoFileStream:
    """The frames of a video file in their order, as `stream.Stream`.

    Raises:
        CameraError: there is no such file, or it holds no video.
    """

    def __init__(self, path: str) -> None:
        container = open_video(path)
        self._container = container
        self._video = video_of(container)
        self._path = Path(path)
        self._file = shown_path(path)
        self._start_s = float((self._video.start_time or 0) * (self._video.time_base or 1))
        self.fps = Fraction(self._video.average_rate or _USUAL_FPS)
        """Frames a second, on average."""
        self.time_base = self._video.time_base or 1 / self.fps
        """The unit of the times of the frames, in seconds."""
        self.frame_count = _frame_count(container, self._video, self.fps)
        """The number of frames according to the file; None if it does not say."""
        self._aspect = pixel_aspect(self._video)
        self._clock = MediaClock(1.0 / float(self.fps))
        self.undecoded = 0
        """The frames that could not be decoded, so far."""

    def frames(self) -> Iterator[StreamFrame]:
        """See `stream.Stream`. Ends as a broken stream if the end of the file is missing."""
        media_time_s = None
        is_broken = False
        try:
            for frame in self._decoded():
                media_time_s = self._clock.advance(self._time_read_s(frame))
                yield StreamFrame(
                    media_time_s,
                    time.time(),
                    "arrival",
                    partial(upright_bgr, frame, self._aspect),
                    media_time_s=media_time_s,
                    file=self._file,
                )
        except av.error.FFmpegError:
            is_broken = True
        if media_time_s is None:
            raise CameraError(FailureReason.NOT_VIDEO, f"each frame in it {NO_FRAME}")
        if self.undecoded:
            log.warning("frames not decoded", extra={"file": self._file, "frames": self.undecoded})
        if is_broken or is_cut_short(self._path, self._container.format.name):
            raise CameraError(FailureReason.ENDED, f"broken after {media_time_s:.1f} s")

    def _decoded(self) -> Iterator[VideoFrame]:
        """The frames. A broken packet is counted, and the decoder goes on with the next.

        A recording of a running stream begins before a keyframe. What cannot be decoded of that is no damage.
        """
        has_begun = False
        for packet in self._container.demux(self._video):
            has_begun = has_begun or packet.is_keyframe
            frames = decoded(self._video, packet)
            if frames is None:
                self.undecoded += has_begun
            yield from frames or ()

    def _time_read_s(self, frame: VideoFrame) -> float | None:
        if frame.time is None:  # a bare H.264 stream has no times, only a frame rate
            return None
        time_s = max(0.0, float(frame.time) - self._start_s)
        if time_s > _LONGEST_S:
            raise CameraError(FailureReason.ENDED, f"a frame claims a time of {time_s:.0f} s")
        return time_s

    def close(self) -> None:
        """Closes the file."""
        self._container.close()


def _frame_count(container: InputContainer, video: VideoStream, fps: Fraction) -> int | None:
    if video.frames:
        return video.frames
    return round(container.duration / av.time_base * fps) if container.duration else None
