"""Pictures as a program hands them over: paths, encoded bytes and arrays."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from agegender.services.ingest.sources.stills import read_still
from agegender.shared.images.pictures import Bgr, OversizePicture, decode_picture
from agegender.shared.messages.pipeline import LONGEST_SIDE_PX

Colour = Literal["bgr", "rgb"]
"""The order of the colours of an array: OpenCV has blue first, Pillow and most others have red first."""

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
PictureLike = str | os.PathLike[str] | bytes | Pixels
"""A path, the bytes of a picture file, or an array: see `as_bgr`."""


def as_bgr(picture: PictureLike, colour: Colour = "bgr") -> Bgr:
    """The pixels of a picture, (height, width, 3) uint8, blue first.

    A path or bytes: any format that OpenCV reads, turned upright by EXIF; `colour` says nothing about these.
    An array: (height, width) or (height, width, 1) grey, (height, width, 3) in the order of `colour`, or
    (height, width, 4) with alpha last, which is left out; uint8, or uint16 of the full range.

    Raises:
        UnreadablePicture: the file or the bytes cannot be read, or a side is over `LONGEST_SIDE_PX`; the text
            says which.
        ValueError: an array of another shape or type, or `colour` is neither of the two.
    """
    if colour not in ("bgr", "rgb"):
        raise ValueError(f"expected colour 'bgr' or 'rgb', got {colour!r}")
    picture_bgr = _read(picture, colour)
    height_px, width_px = picture_bgr.shape[:2]
    if max(height_px, width_px) > LONGEST_SIDE_PX:
        raise OversizePicture(f"{width_px} x {height_px} pixels: a side is over {LONGEST_SIDE_PX}")
    return picture_bgr


def _read(picture: PictureLike, colour: Colour) -> Bgr:
    if isinstance(picture, np.ndarray):
        return _array_as_bgr(picture, colour)
    if isinstance(picture, bytes):
        return decode_picture(picture)
    return read_still(Path(picture))


def _array_as_bgr(array: NDArray[Any], colour: Colour) -> Bgr:
    channels = 1 if array.ndim == 2 else array.shape[2] if array.ndim == 3 else 0
    if channels not in (1, 3, 4) or array.size == 0 or array.dtype not in (np.uint8, np.uint16):
        raise ValueError(
            "expected an array of shape (height, width) or (height, width, 1, 3 or 4), uint8 or uint16, "
            f"got {array.shape} and {array.dtype}"
        )
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    if channels == 1:
        return np.asarray(cv2.cvtColor(array.reshape(array.shape[:2]), cv2.COLOR_GRAY2BGR), np.uint8)
    colours = array[:, :, :3] if colour == "bgr" else array[:, :, 2::-1]
    return np.ascontiguousarray(colours, np.uint8)
