"""Writes pictures, and videos that browsers play: H.264 in MP4."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import av.error
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream

from agegender.shared.errors import AgeGenderError
from agegender.shared.images.pictures import Bgr

_OPTIONS = {"preset": "veryfast", "crf": "20"}
_BT_709 = 1  # for the tags primaries, transfer and matrix
_LIMITED_RANGE = 1


_JPEG_QUALITY = 92


class CannotWrite(AgeGenderError):
    """A copy cannot be written. The text says which and why."""


def write_picture(path: Path, picture_bgr: Bgr) -> None:
    """Writes a picture in the format that the name says; nothing of the original's metadata is in it.

    Raises:
        CannotWrite: the folder or the file cannot be written.
    """
    try:
        ok, data = cv2.imencode(path.suffix, picture_bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    except cv2.error:
        ok = False
    if not ok:
        size = f"{picture_bgr.shape[1]} x {picture_bgr.shape[0]} pixels"
        raise CannotWrite(f"{str(path)!r}: {path.suffix} holds no picture of {size}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.tobytes())
    except OSError as error:
        raise CannotWrite(f"cannot write {str(path)!r}: {error.strerror}") from None


class VideoWriter:
    """Writes pictures with their times into an MP4 that begins to play before it is loaded whole.

    4:2:0 colour needs even sides: an odd one grows by a pixel that repeats the edge. All frames are brought
    to the size of the first. There is no sound.

    The file appears under its name when `close` is called; until then it is called `.NAME.part`.

    Args:
        path: the file; one that exists is replaced.
        fps: frames a second, on average: what players show.
        time_base: the seconds that the times are whole numbers of.
    """

    def __init__(self, path: Path, fps: Fraction, time_base: Fraction) -> None:
        self._path = path
        self._draft = path.with_name(f".{path.name}.part")
        self._fps = fps
        self._time_base = time_base
        self._container: OutputContainer | None = None
        self._video: VideoStream | None = None
        self._last_pts = -1

    def add(self, picture_bgr: Bgr, time_s: float) -> None:
        """The next frame, to be shown from `time_s` on; raises CannotWrite."""
        with self._explained():
            self._add(picture_bgr, time_s)

    def _add(self, picture_bgr: Bgr, time_s: float) -> None:
        if self._container is None or self._video is None:
            self._container, self._video = self._open(picture_bgr)
        size_wh = (self._video.width, self._video.height)
        picture = av.VideoFrame.from_ndarray(_of_size(picture_bgr, size_wh), format="bgr24")
        frame = picture.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709)
        self._last_pts = max(round(time_s / self._time_base), self._last_pts + 1)
        frame.pts, frame.time_base = self._last_pts, self._time_base
        self._container.mux(self._video.encode(frame))

    def _open(self, first_bgr: Bgr) -> tuple[OutputContainer, VideoStream]:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # The prefix keeps a colon in a file's name from being read as a protocol.
        container = av.open(
            f"file:{self._draft}", "w", format="mp4", container_options={"movflags": "+faststart"}
        )
        video = container.add_stream("libx264", rate=self._fps, options=_OPTIONS)
        video.height, video.width = (side + side % 2 for side in first_bgr.shape[:2])
        video.pix_fmt = "yuv420p"
        codec = video.codec_context
        codec.time_base = self._time_base
        codec.color_primaries = codec.color_trc = codec.colorspace = _BT_709
        codec.color_range = _LIMITED_RANGE
        return container, video

    def close(self) -> None:
        """Ends the video and gives it its name; raises CannotWrite, and leaves no file then.

        No file appears either when no frame was added.
        """
        if self._container is None or self._video is None:
            return
        container, self._container = self._container, None
        try:
            with self._explained():
                container.mux(self._video.encode(None))
                container.close()
                self._draft.replace(self._path)
        finally:
            with contextlib.suppress(OSError):
                self._draft.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (OSError, av.error.FFmpegError) as error:
            raise CannotWrite(f"cannot write {str(self._path)!r}: {error.strerror}") from None


def _of_size(picture_bgr: Bgr, size_wh: tuple[int, int]) -> Bgr:
    height_px, width_px = picture_bgr.shape[:2]
    if (width_px, height_px) == size_wh:
        return picture_bgr
    if 0 <= size_wh[0] - width_px <= 1 and 0 <= size_wh[1] - height_px <= 1:
        grown = cv2.copyMakeBorder(
            picture_bgr, 0, size_wh[1] - height_px, 0, size_wh[0] - width_px, cv2.BORDER_REPLICATE
        )
        return np.asarray(grown, np.uint8)
    return np.asarray(cv2.resize(picture_bgr, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
