"""The decoding that RTSP cameras and video files share: FFmpeg, through PyAV."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Any, cast

import av.error
import cv2
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import ColorTrc, VideoReformatter
from av.video.stream import VideoStream

from agegender.services.ingest.sources.stream import CameraError, FailureReason
from agegender.shared.images.pictures import Bgr, OversizePicture, UnreadablePicture
from agegender.shared.images.sizes import MAX_PIXELS
from agegender.shared.images.tone_mapping import Transfer, tone_mapped
from agegender.shared.messages.pipeline import LONGEST_SIDE_PX

_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.dependent
_MAX_PIXELS_OPTION = {"max_pixels": str(MAX_PIXELS)}
_TRANSFERS: dict[int, Transfer] = {ColorTrc.SMPTE2084: "pq", ColorTrc.ARIB_STD_B67: "hlg"}
_MATRIX = struct.Struct("=9i")
_SQUARE = Fraction(1)
_LARGEST_ASPECT = 4
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


def pixel_aspect(video: VideoStream) -> Fraction:
    """The width of a pixel by its height, as the file or the codec states it; 1 if that is no real value."""
    stated = video.sample_aspect_ratio
    return Fraction(stated) if stated and 1 / _LARGEST_ASPECT <= stated <= _LARGEST_ASPECT else Fraction(1)


def upright_bgr(frame: VideoFrame, aspect: Fraction = _SQUARE, *, is_live: bool = False) -> Bgr:
    """The pixels as a player shows them: turned and mirrored as the file says, with square pixels.

    Args:
        frame: as decoded.
        aspect: see `pixel_aspect`. The shorter side of a pixel is stretched, so that no detail is lost.
        is_live: of a camera, which may turn its pictures and never mirrors them. Reading the side data of a
            frame keeps it until the next garbage collection, which live streams cannot afford.

    Raises:
        UnreadablePicture: the pixels cannot be converted.
        OversizePicture: there are more of them than allowed.
    """
    if frame.width * frame.height > MAX_PIXELS:
        raise OversizePicture(f"a frame of {frame.width} x {frame.height} pixels is over {MAX_PIXELS}")
    try:
        picture = _usual_bgr(frame)
    except (av.error.FFmpegError, ValueError) as error:
        raise UnreadablePicture(f"a frame in {frame.format.name} cannot be converted: {error}") from None
    matrix = None if is_live and frame.rotation == 0 else _display_matrix(frame)
    return _as_the_matrix_says(_square_pixels(picture, aspect), matrix)


def _usual_bgr(frame: VideoFrame) -> Bgr:
    """The pixels for a usual screen, also of a frame with high dynamic range."""
    transfer = _TRANSFERS.get(frame.color_trc)
    # A converter of its own, so that its threads end here, however long the frame is kept.
    converted = VideoReformatter().reformat(frame, format="bgr24" if transfer is None else "rgb48le")
    pixels = converted.to_ndarray()
    if transfer is None:
        return np.asarray(pixels, np.uint8)
    return tone_mapped(np.asarray(pixels, np.uint16), transfer)


def _square_pixels(picture: Bgr, aspect: Fraction) -> Bgr:
    if aspect == 1:
        return picture
    height_px, width_px = picture.shape[:2]
    stretched_wh = (
        (round(width_px * aspect), height_px) if aspect > 1 else (width_px, round(height_px / aspect))
    )
    if stretched_wh[0] * stretched_wh[1] > MAX_PIXELS or max(stretched_wh) > LONGEST_SIDE_PX:
        stretched_wh = (
            (width_px, round(height_px / aspect)) if aspect > 1 else (round(width_px * aspect), height_px)
        )
    return np.asarray(cv2.resize(picture, (max(1, stretched_wh[0]), max(1, stretched_wh[1]))), np.uint8)


def _display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    """ISO/IEC 14496-12, section 8.3.2: a, b, u, c, d, v, x, y, w; None if the file states none."""
    # PyAV's types take the container for one of text.
    data = cast(SideData | None, frame.side_data.get("DISPLAYMATRIX"))
    if data is None or data.buffer_size < _MATRIX.size:
        return None
    return _MATRIX.unpack_from(bytes(data))


def _as_the_matrix_says(picture: Bgr, matrix: tuple[int, ...] | None) -> Bgr:
    """The matrix takes x to a·x + c·y and y to b·x + d·y. Other angles are rounded to quarter turns."""
    if matrix is None:
        return picture
    a, b, _, c, d, *_ = matrix
    if abs(a) + abs(d) < abs(b) + abs(c):
        picture = np.transpose(picture, (1, 0, 2))
        a, d = c, b
    if a < 0:
        picture = picture[:, ::-1]
    if d < 0:
        picture = picture[::-1]
    return np.ascontiguousarray(picture)
