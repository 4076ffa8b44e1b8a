"""Decodes and encodes pictures. The size in the header is checked before a picture is decoded."""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray

from agegender.shared.errors import AgeGenderError
from agegender.shared.images.containers import is_heic, is_jpeg_xl
from agegender.shared.images.sizes import MAX_PIXELS, claimed_size, claims_missing_bytes
from agegender.shared.images.tiff import tiff_pages

Bgr = NDArray[np.uint8]
"""A colour picture, (height, width, 3), uint8, in the order blue, green, red, as in OpenCV."""


class UnreadablePicture(AgeGenderError):
    """The bytes are not a picture, or a damaged or too large one."""


class OversizePicture(UnreadablePicture):
    """The header of the picture states more pixels than allowed."""


def decode_picture(data: bytes, max_pixels: int = MAX_PIXELS, page: int = 0) -> Bgr:
    """Decodes a picture in any format that OpenCV reads.

    Args:
        data: the bytes of the file.
        max_pixels: the most that the header may state.
        page: of a TIFF, from 0. Other formats have the page 0 alone.

    Raises:
        UnreadablePicture: the bytes are not a picture, or a damaged one; the text says which.
        OversizePicture: the header states more than `max_pixels`; nothing was decoded.
    """
    if not data:
        raise UnreadablePicture("the picture is empty")
    if is_heic(data):
        raise UnreadablePicture("HEIC and HEIF pictures are not read: save it as JPEG first")
    if is_jpeg_xl(data):
        raise UnreadablePicture("JPEG XL pictures are not read: save it as JPEG or PNG first")
    size = claimed_size(data)
    if size is None:
        raise UnreadablePicture(f"{len(data)} bytes that are no picture: no size in its header")
    width_px, height_px = size
    if width_px * height_px > max_pixels:
        raise OversizePicture(f"claims {width_px} x {height_px} pixels, more than the {max_pixels} allowed")
    if claims_missing_bytes(data):
        raise UnreadablePicture(f"the picture of {width_px} x {height_px} pixels is cut short")
    try:
        picture = _decoded(data, page)
    except cv2.error:
        picture = None
    if picture is None:
        raise UnreadablePicture(f"the picture of {width_px} x {height_px} pixels cannot be decoded")
    return picture


def _decoded(data: bytes, page: int) -> Bgr | None:
    encoded = np.frombuffer(data, np.uint8)
    pages = tiff_pages(io.BytesIO(data))
    if page >= max(len(pages), 1):
        raise UnreadablePicture(f"expected a page up to {max(len(pages), 1) - 1}, got {page}")
    directory = pages[page].directory if pages else 0
    if directory == 0:
        picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        return None if picture is None else np.asarray(picture, np.uint8)
    found, pictures = cv2.imdecodemulti(encoded, cv2.IMREAD_COLOR, range=(directory, directory + 1))
    return np.asarray(pictures[0], np.uint8) if found and pictures else None


def encode_jpeg(picture_bgr: Bgr, quality: int) -> bytes:
    """Encodes `picture_bgr` as JPEG at `quality`, 1 to 100.

    Raises:
        ValueError: the array is not a picture.
    """
    ok, data = cv2.imencode(".jpg", picture_bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError(f"cannot encode a picture of shape {picture_bgr.shape} and type {picture_bgr.dtype}")
    return data.tobytes()


def turned_upright(picture_bgr: Bgr, orientation: int) -> Bgr:
    """`picture_bgr`, mirrored and turned as `orientation` says, 1 to 8 as in EXIF 2.32, section 4.6.4.

    Other values change nothing.
    """
    if orientation not in range(2, 9):
        return picture_bgr
    if orientation >= 5:
        picture_bgr = np.transpose(picture_bgr, (1, 0, 2))
    if orientation in (2, 3, 6, 7):
        picture_bgr = picture_bgr[:, ::-1]
    if orientation in (3, 4, 7, 8):
        picture_bgr = picture_bgr[::-1]
    return np.ascontiguousarray(picture_bgr)


def shrink(picture_bgr: Bgr, longer_side_px: int) -> Bgr:
    """`picture_bgr`, shrunk to a longer side of at most `longer_side_px`, without aliasing."""
    height_px, width_px = picture_bgr.shape[:2]
    scale = longer_side_px / max(height_px, width_px)
    if scale >= 1:
        return picture_bgr
    size_wh = (max(1, round(width_px * scale)), max(1, round(height_px * scale)))
    return np.asarray(cv2.resize(picture_bgr, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
