"""The size of a picture from its header alone, for every format that OpenCV reads.

PFM is left out: its values have no fixed range, so its brightness is unknown.
"""

from __future__ import annotations

import io
import math
import re
import struct
from collections.abc import Callable

import imagesize

from agegender.shared.images.avif import avif_header
from agegender.shared.images.containers import is_avif
from agegender.shared.images.tiff import TIFF_STARTS, tiff_pages

MAX_PIXELS = 50_000_000
"""The largest picture that is decoded, in pixels: 150 MB of memory."""

MAX_PICTURE_BYTES = 8 * MAX_PIXELS
"""The largest picture file that is read: `MAX_PIXELS` uncompressed, with 16 bits a channel."""

_HEADER_BYTES = 4096  # for formats with a header of text
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNK = struct.Struct(">I4s")
_PNG_CHECKSUM_BYTES = 4
_OS2_HEADER_BYTES = 12
_SUN_RASTER = b"\x59\xa6\x6a\x95"
_RADIANCE_SIZE = re.compile(rb"^-Y (\d{1,9}) \+X (\d{1,9})\s*$", re.MULTILINE)
_PAM_WIDTH = re.compile(rb"^WIDTH\s+(\d+)", re.MULTILINE)
_PAM_HEIGHT = re.compile(rb"^HEIGHT\s+(\d+)", re.MULTILINE)
_PAM_MAXIMUM = re.compile(rb"^MAXVAL\s+(\d{1,5})\s", re.MULTILINE)
# As in OpenCV, a comment ends with either kind of line end, and a number with any byte.
_NETPBM_GAP = rb"(?:\s|#[^\r\n]*[\r\n])*"
_NETPBM_SIZE = re.compile(rb"P\d\s" + _NETPBM_GAP + rb"(\d{1,9})\D" + _NETPBM_GAP + rb"(\d{1,9})\D")
_NETPBM_MAXIMUM = re.compile(_NETPBM_SIZE.pattern + _NETPBM_GAP + rb"(\d{1,5})\D")

Size = tuple[int, int] | None


def claimed_size(data: bytes) -> Size:
    """Width and height in pixels before any EXIF rotation; None when `data` is not a picture."""
    if data.startswith(TIFF_STARTS):
        pages = tiff_pages(io.BytesIO(data))
        # The decoder reads the page that it is asked for: the largest counts.
        size = max(((one.width_px, one.height_px) for one in pages), key=math.prod, default=None)
        return size if size is not None and min(size) > 0 else None
    if is_avif(data):
        header = avif_header(data)
        return (header.width_px, header.height_px) if header and header.width_px * header.height_px else None
    start = next((start for start in _READERS if data.startswith(start)), None)
    size = _any_other(data) if start is None else _READERS[start](data[:_HEADER_BYTES])
    return size if size is not None and min(size) > 0 else None


def netpbm_maximum(data: bytes) -> int | None:
    """The value of white in a grey or colour picture of Netpbm; None for any other picture."""
    header = data[:_HEADER_BYTES]
    if header.startswith(b"P7"):
        stated = _PAM_MAXIMUM.search(header)
        return int(stated[1]) if stated else None
    found = _NETPBM_MAXIMUM.match(header) if header[:2] in (b"P2", b"P3", b"P5", b"P6") else None
    return int(found[3]) if found else None


def claims_missing_bytes(data: bytes) -> bool:
    """Whether `data` is a PNG with a chunk that is longer than the rest of the file.

    OpenCV allocates the stated length of a chunk before it reads it: up to 4 GB for a file of 70 bytes.
    """
    at = len(_PNG)
    if not data.startswith(_PNG):
        return False
    while at + _PNG_CHUNK.size <= len(data):
        length, kind = _PNG_CHUNK.unpack_from(data, at)
        if length > len(data) - at - _PNG_CHUNK.size:
            return True
        if kind == b"IEND":
            return False
        at += _PNG_CHUNK.size + length + _PNG_CHECKSUM_BYTES
    return False


def _any_other(data: bytes) -> Size:
    width_px, height_px = imagesize.get(io.BytesIO(data), exif_rotation=False)
    # An SVG may state a number so large that it becomes infinite.
    return (int(width_px), int(height_px)) if math.isfinite(width_px) and math.isfinite(height_px) else None


def _bitmap(header: bytes) -> Size:
    """The first version of OS/2 has sides of 16 bits, all others of 32; a negative height is upside down."""
    if len(header) < 26:
        return None
    if int.from_bytes(header[14:18], "little") == _OS2_HEADER_BYTES:
        return struct.unpack_from("<HH", header, 18)
    width_px, height_px = struct.unpack_from("<ii", header, 18)
    return abs(width_px), abs(height_px)


def _sun_raster(header: bytes) -> Size:
    return struct.unpack_from(">II", header, 4) if len(header) >= 32 else None


def _radiance(header: bytes) -> Size:
    found = _RADIANCE_SIZE.search(header)
    return (int(found[2]), int(found[1])) if found else None


def _netpbm(header: bytes) -> Size:
    # imagesize takes minutes for a number of two million digits.
    found = _NETPBM_SIZE.match(header)
    return (int(found[1]), int(found[2])) if found else None


def _pam(header: bytes) -> Size:
    # A decoder may use either of two equal fields, so the larger one counts.
    sides = [[int(n) for n in side.findall(header)] for side in (_PAM_WIDTH, _PAM_HEIGHT)]
    return (max(sides[0]), max(sides[1])) if all(sides) else None


_READERS: dict[bytes, Callable[[bytes], Size]] = {
    b"BM": _bitmap,
    _SUN_RASTER: _sun_raster,
    **{b"P%d" % kind: _netpbm for kind in range(1, 7)},
    b"P7": _pam,
    b"#?RADIANCE": _radiance,
    b"#?RGBE": _radiance,
}
