"""The decoding that RTSP cameras and video files share: FFmpeg, through PyAV."""

from __future__ import annotations

from typing import Any

import av.error
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from agegender.services.ingest.sources.stream import CameraError, FailureReason
from agegender.shared.images.pictures import Bgr, OversizePicture, UnreadablePicture
from agegender.shared.images.sizes import MAX_PIXELS
from agegender.shared.messages.pipeline import LONGEST_SIDE_PX

_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.dependent
_MAX_PIXELS_OPTION = {"max_pixels": str(MAX_PIXELS)}
_STREAMS = 64  # more than any real file or camera has
PROBING_OPTIONS: Any = [_MAX_PIXELS_OPTION] * _STREAMS  # PyAV's types ask for text, but its code takes these
"""For `av.open(stream_options=…)`: FFmpeg decodes the first frames while it opens a stream."""

NO_FRAME = f"cannot be decoded, or claims more than {MAX_PIXELS} pixels"


def video_of(container: InputContainer) -> VideoStream:
    """The video of an open container, ready to be decoded.

    That is the one marked as default, else the first. Covers, thumbnails and the tiles of a picture are none.

    Raises:
        CameraError: there is none, or its pictures are too large. The container is then closed.
    """
    # A stream without a context is one that FFmpeg cannot decode.
    videos = [one for one in container.streams.video if not one.disposition & _NO_VIDEO]
    decodable = [one for one in videos if one.codec_context is not None]
    if not decodable:
        why = "its video has an unsupported codec" if videos else "there is no video in it"
        container.close()
        raise CameraError(FailureReason.NOT_VIDEO, why)
    marked = [one for one in decodable if one.disposition & Disposition.default] or decodable
    # An animated AVIF holds its first frame as a still, too. 0 frames: the file does not tell.
    video = next((one for one in marked if one.frames != 1), marked[0])
    # One core for each camera: many share the machine, and frame threads add a delay.
    video.thread_count = 1
    width_px, height_px = video.codec_context.width, video.codec_context.height
    if width_px * height_px > MAX_PIXELS:
        container.close()
        raise CameraError(
            FailureReason.NOT_VIDEO, f"{width_px} x {height_px} pixels are more than the {MAX_PIXELS} allowed"
        )
    if max(width_px, height_px) > LONGEST_SIDE_PX:
        container.close()
        raise CameraError(
            FailureReason.NOT_VIDEO, f"{width_px} x {height_px} pixels: a side is over {LONGEST_SIDE_PX}"
        )
    # The size may change later. The decoder itself then refuses, before it reserves memory.
    video.codec_context.options = _MAX_PIXELS_OPTION
    return video


def decoded(video: VideoStream, packet: Packet[VideoStream]) -> list[VideoFrame] | None:
    """The frames that `packet` completes, maybe none; None if it is broken. The next can be decoded then."""
    try:
        return video.decode(packet)
    except av.error.InvalidDataError:
        return None


def upright_bgr(frame: VideoFrame) -> Bgr:
    """The pixels, rotated as the file says.

    Raises:
        UnreadablePicture: the pixels cannot be converted.
        OversizePicture: there are more of them than allowed.
    """
    if frame.width * frame.height > MAX_PIXELS:
        raise OversizePicture(f"a frame of {frame.width} x {frame.height} pixels is over {MAX_PIXELS}")
    try:
        picture = frame.to_ndarray(format="bgr24")
    except (av.error.FFmpegError, ValueError) as error:
        raise UnreadablePicture(f"a frame in {frame.format.name} cannot be converted: {error}") from None
    quarter_turns = round(frame.rotation / 90)
    return np.ascontiguousarray(np.rot90(picture, quarter_turns), np.uint8)
