"""Decodes and encodes pictures. The size in the header is checked before a picture is decoded."""

from __future__ import annotations

import io

import cv2
import numpy as np
from numpy.typing import NDArray

from agegender.shared.errors import AgeGenderError
from agegender.shared.images.avif import avif_header
from agegender.shared.images.containers import is_avif, is_heic, is_jpeg_xl
from agegender.shared.images.sizes import MAX_PIXELS, claimed_size, claims_missing_bytes, netpbm_maximum
from agegender.shared.images.tiff import tiff_pages

Bgr = NDArray[np.uint8]
"""A colour picture, (height, width, 3), uint8, in the order blue, green, red, as in OpenCV."""


_WHITE = 255
_EXIF_PREFIX = b"Exif\0\0"


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
        return _decoded_heic(data, max_pixels)
    if is_jpeg_xl(data):
        raise UnreadablePicture("JPEG XL is not read, and no extra reads it: save the picture as JPEG or PNG")
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
    if is_avif(data):
        return _decoded_avif(data)
    maximum = netpbm_maximum(data)
    if maximum is not None and maximum not in (_WHITE, 65_535):
        return _decoded_netpbm(data, maximum)
    encoded = np.frombuffer(_with_plain_exif(data), np.uint8)
    pages = tiff_pages(io.BytesIO(data))
    if page >= max(len(pages), 1):
        raise UnreadablePicture(f"expected a page up to {max(len(pages), 1) - 1}, got {page}")
    directory = pages[page].directory if pages else 0
    if directory == 0:
        picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        return None if picture is None else np.asarray(picture, np.uint8)
    found, pictures = cv2.imdecodemulti(encoded, cv2.IMREAD_COLOR, range=(directory, directory + 1))
    return np.asarray(pictures[0], np.uint8) if found and pictures else None


def _decoded_avif(data: bytes) -> Bgr | None:
    """OpenCV turns by EXIF alone. AVIF has own properties for that, and EXIF does not count beside them."""
    header = avif_header(data)
    encoded = np.frombuffer(data, np.uint8)
    if header is None or (not header.quarter_turns and header.mirror_axis is None):
        picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
        return None if picture is None else np.asarray(picture, np.uint8)
    picture = cv2.imdecode(encoded, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if picture is None:
        return None
    turned = np.rot90(np.asarray(picture, np.uint8), header.quarter_turns)
    return np.ascontiguousarray(turned if header.mirror_axis is None else np.flip(turned, header.mirror_axis))


def _decoded_heic(data: bytes, max_pixels: int) -> Bgr:
    """The primary picture, put together from its tiles, and turned as it states."""
    try:
        import pillow_heif
    except ModuleNotFoundError:
        raise UnreadablePicture(
            "HEIC and HEIF need the extra `heic`: run `pip install pillow-heif`, or save the picture as JPEG"
        ) from None
    try:
        image = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=True)
        width_px, height_px = image.size
        if width_px * height_px > max_pixels:
            raise OversizePicture(
                f"claims {width_px} x {height_px} pixels, more than the {max_pixels} allowed"
            )
        pixels = np.asarray(image)
    except (ValueError, OSError, RuntimeError, EOFError, SyntaxError) as error:
        raise UnreadablePicture(f"the HEIC picture cannot be decoded: {error}") from None
    if pixels.ndim == 2:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR), np.uint8)
    return np.ascontiguousarray(pixels[:, :, 2::-1], np.uint8)


def _decoded_netpbm(data: bytes, maximum: int) -> Bgr | None:
    """Scales white to 255. OpenCV does so only for text with a maximum of one byte."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if picture is None or maximum == 0:
        return None
    is_scaled = maximum < _WHITE and data[:2] in (b"P2", b"P3")
    values = np.asarray(picture, np.float32) * (1.0 if is_scaled else _WHITE / maximum)
    levels = np.clip(np.rint(values), 0, _WHITE).astype(np.uint8)
    if levels.ndim == 2:
        return np.asarray(cv2.cvtColor(levels, cv2.COLOR_GRAY2BGR), np.uint8)
    return np.ascontiguousarray(levels[:, :, :3])


def _with_plain_exif(data: bytes) -> bytes:
    """A WebP without the prefix that some programs put before its EXIF. OpenCV does not know it."""
    if data[:4] != b"RIFF" or data[8:16] != b"WEBPVP8X":
        return data
    at = 12
    while at + 8 <= len(data):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + length]
        if data[at : at + 4] == b"EXIF":
            if not body.startswith(_EXIF_PREFIX):
                return data
            plain = body.removeprefix(_EXIF_PREFIX)
            size = int.from_bytes(data[4:8], "little") - len(_EXIF_PREFIX)
            rest = data[at + 8 + length :]
            start = b"RIFF" + max(size, 0).to_bytes(4, "little") + data[8:at]
            return start + b"EXIF" + len(plain).to_bytes(4, "little") + plain + rest
        at += 8 + length + length % 2
    return data


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


def shrink(picture_bgr: Bgr, longer_side_px: int, *, quick: bool = False) -> Bgr:
    """`picture_bgr`, shrunk to a longer side of at most `longer_side_px`, without aliasing.

    Args:
        quick: halve the picture, and then read the nearest pixels alone. It takes a fifth of the time, and
            fine patterns may shimmer. YuNet finds the same faces.
    """
    height_px, width_px = picture_bgr.shape[:2]
    scale = longer_side_px / max(height_px, width_px)
    if scale >= 1:
        return picture_bgr
    size_wh = (max(1, round(width_px * scale)), max(1, round(height_px * scale)))
    how = cv2.INTER_AREA
    if quick:
        picture_bgr = _halved(picture_bgr, size_wh)
        how = cv2.INTER_LINEAR if picture_bgr.shape[1] <= 2 * size_wh[0] else cv2.INTER_AREA
    return np.asarray(cv2.resize(picture_bgr, size_wh, interpolation=how), np.uint8)


def _halved(picture_bgr: Bgr, least_wh: tuple[int, int]) -> Bgr:
    """The picture, halved while its sides are even and it stays as large as `least_wh`."""
    while not any(side_px % 2 for side_px in picture_bgr.shape[:2]):
        half_wh = (picture_bgr.shape[1] // 2, picture_bgr.shape[0] // 2)
        if half_wh[0] < least_wh[0] or half_wh[1] < least_wh[1]:
            break
        picture_bgr = np.asarray(cv2.resize(picture_bgr, half_wh, interpolation=cv2.INTER_AREA), np.uint8)
    return picture_bgr
