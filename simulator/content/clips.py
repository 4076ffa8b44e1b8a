"""Makes H.264 clips that a simulated camera can play for ever: no B-frames, a keyframe every second."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from agegender.simulator.content.cache import published

Picture = NDArray[np.uint8]
"""Colour picture, (height, width, 3), BGR, 0 to 255."""

MOST_ZOOM = 0.04
"""A clip zooms in by up to this share and back out, once in its length."""

MOST_PAN = 0.01
"""A clip moves by up to this share of its width, to the left and to the right, once in its length."""

_NOISE_SIGMA = 2.0
_FEATHER_SHARE = 0.03
_X264_OPTIONS = {"preset": "veryfast", "crf": "20", "bf": "0", "sc_threshold": "0"}


@dataclass(frozen=True)
class Placement:
    """Where in the frame a still picture stands."""

    picture: Picture
    centre_xy: tuple[int, int]
    """In pixels of the frame, from its upper left corner, before any motion."""
    height_px: int
    """Of the whole picture, which keeps its proportions."""


def make_clip(
    path: Path,
    placements: Sequence[Placement],
    *,
    size_wh: tuple[int, int] = (1280, 720),
    fps: int = 25,
    seconds: float = 4.0,
    seed: int = 0,
) -> None:
    """Writes an MP4 of `placements` before a soft grey background, gently moving, with the noise of a sensor.

    The motion ends where it began, so a loop has no visible seam. Equal arguments give equal frames. Later
    placements cover earlier ones. Raises `ValueError` for a placement that the motion would carry out of the
    frame, for an odd size (H.264 with 4:2:0 colour needs even ones) and for a clip without a frame.
    """
    width, height = size_wh
    frame_count = round(seconds * fps)
    if width % 2 or height % 2 or frame_count < 1:
        raise ValueError(f"expected an even size and a frame or more, got {size_wh} and {frame_count} frames")
    rng = np.random.default_rng(seed)
    still = soft_background(size_wh, rng)
    for placement in placements:
        _paste(still, placement)
    write_video(path, _moving(still, frame_count, rng), size_wh=size_wh, fps=fps)


def convert_video(source: Path, path: Path, *, fps: int = 25) -> None:
    """Makes an MP4 that a simulated camera can play of the first video stream of `source`, of any codec.

    Keeps size (cut to even numbers) and length; frames are repeated or left out to reach `fps`. Raises
    `av.error.FFmpegError` for what FFmpeg cannot read, `OSError` for a missing file.
    """
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        size_wh = (stream.codec_context.width // 2 * 2, stream.codec_context.height // 2 * 2)
        write_video(path, _resampled(container.decode(stream), fps, size_wh), size_wh=size_wh, fps=fps)


def write_video(
    path: Path, frames: Iterable[Picture], *, size_wh: tuple[int, int], fps: int, keyframe_every: int = 0
) -> None:
    """Encodes `frames`, all of size `size_wh`, at the constant rate `fps` into an MP4 at `path`.

    `keyframe_every`: so many frames; 0: each second.
    """
    with published(path) as draft, av.open(str(draft), "w") as container:
        stream = container.add_stream(
            "libx264", rate=fps, options={**_X264_OPTIONS, "g": str(keyframe_every or fps)}
        )
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, fps)
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts = index
            frame.time_base = Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def soft_background(size_wh: tuple[int, int], rng: np.random.Generator) -> Picture:
    """A soft texture: enough for a codec to work on, nothing that looks like a face."""
    coarse = rng.normal(110.0, 10.0, size=(6, 10, 3)).astype(np.float32)
    smooth = cv2.resize(coarse, size_wh, interpolation=cv2.INTER_CUBIC)
    return np.clip(smooth, 0, 255).astype(np.uint8)


def _paste(still: Picture, placement: Placement) -> None:
    scale = placement.height_px / placement.picture.shape[0]
    interpolation = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_CUBIC
    picture = cv2.resize(placement.picture, None, fx=scale, fy=scale, interpolation=interpolation)
    height, width = picture.shape[:2]
    left = placement.centre_xy[0] - width // 2
    top = placement.centre_xy[1] - height // 2
    _refuse_outside((left, top, left + width, top + height), (still.shape[1], still.shape[0]))
    alpha = _feathered(width, height)
    below = still[top : top + height, left : left + width]
    below[:] = (picture * alpha + below * (1.0 - alpha)).astype(np.uint8)


def _refuse_outside(box_xyxy: tuple[int, int, int, int], size_wh: tuple[int, int]) -> None:
    width, height = size_wh
    share = MOST_ZOOM / 2 + MOST_PAN
    inner = (width * share, height * share, width * (1 - share), height * (1 - share))
    if box_xyxy[0] < inner[0] or box_xyxy[1] < inner[1] or box_xyxy[2] > inner[2] or box_xyxy[3] > inner[3]:
        rounded = tuple(round(value) for value in inner)
        raise ValueError(f"a placement must lie within {rounded} (left, top, right, bottom), got {box_xyxy}")


def _feathered(width: int, height: int) -> NDArray[np.float32]:
    """Opacity, (height, width, 1): 1 inside, falling to 0 at the border, so that no hard edge is added."""
    reach = max(2.0, _FEATHER_SHARE * min(width, height))
    across = np.minimum(np.arange(width), np.arange(width)[::-1]) / reach
    down = np.minimum(np.arange(height), np.arange(height)[::-1]) / reach
    opacity = np.clip(np.minimum(down[:, None], across[None, :]), 0.0, 1.0)
    return opacity.astype(np.float32)[:, :, None]


def _moving(still: Picture, frame_count: int, rng: np.random.Generator) -> Iterator[Picture]:
    height, width = still.shape[:2]
    noise = rng.normal(0.0, _NOISE_SIGMA, size=(height + 32, width + 32)).astype(np.int8)
    for index in range(frame_count):
        angle = 2.0 * np.pi * index / frame_count
        zoom = 1.0 + MOST_ZOOM * (1.0 - np.cos(angle)) / 2.0
        shift_px = MOST_PAN * width * np.sin(angle)
        matrix = np.array(
            [
                [zoom, 0.0, (1.0 - zoom) * width / 2.0 + shift_px],
                [0.0, zoom, (1.0 - zoom) * height / 2.0],
            ]
        )
        moved = cv2.warpAffine(still, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
        top, left = rng.integers(0, 32, size=2)
        grain = cv2.merge([noise[top : top + height, left : left + width]] * 3)
        yield cv2.add(moved, grain, dtype=cv2.CV_8U).astype(np.uint8, copy=False)


def _resampled(frames: Iterable[av.VideoFrame], fps: int, size_wh: tuple[int, int]) -> Iterator[Picture]:
    written = 0
    start_s: float | None = None
    for frame in frames:
        if frame.time is None:
            continue
        start_s = frame.time if start_s is None else start_s
        due = int((frame.time - start_s) * fps + 0.5) + 1
        if due > written:
            whole = frame.to_ndarray(format="bgr24")
            picture = whole[: size_wh[1], : size_wh[0]].astype(np.uint8, copy=False)
            for _ in range(due - written):
                yield picture
            written = due
