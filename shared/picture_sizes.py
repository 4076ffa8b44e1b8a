"""How large a picture claims to be, read from its header alone, for every format that OpenCV reads.

But one: PFM, whose values have no agreed range, so that nobody can say how bright it is.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Callable

import imagesize

_HEADER_BYTES = 4096  # of the formats whose header is text
_SUN_RASTER = b"\x59\xa6\x6a\x95"
_RADIANCE_SIZE = re.compile(rb"^-Y (\d{1,9}) \+X (\d{1,9})\s*$", re.MULTILINE)
_PAM_WIDTH = re.compile(rb"^WIDTH\s+(\d{1,9})", re.MULTILINE)
_PAM_HEIGHT = re.compile(rb"^HEIGHT\s+(\d{1,9})", re.MULTILINE)

Size = tuple[int, int] | None


def claimed_size(data: bytes) -> Size:
    """Width and height in pixels, before any turning by EXIF; None when `data` begins like no picture."""
    width_px, height_px = imagesize.get(io.BytesIO(data), exif_rotation=False)
    if width_px > 0 and height_px > 0:
        return int(width_px), int(height_px)
    for start, read in _OTHERS.items():
        if data.startswith(start):
            size = read(data[:_HEADER_BYTES])
            return size if size is not None and min(size) > 0 else None
    return None


def _sun_raster(header: bytes) -> Size:
    return struct.unpack_from(">II", header, 4) if len(header) >= 32 else None


def _radiance(header: bytes) -> Size:
    found = _RADIANCE_SIZE.search(header)
    return (int(found[2]), int(found[1])) if found else None


def _pam(header: bytes) -> Size:
    # Where a field stands twice, the larger counts: a decoder may take either.
    sides = [[int(n) for n in side.findall(header)] for side in (_PAM_WIDTH, _PAM_HEIGHT)]
    return (max(sides[0]), max(sides[1])) if all(sides) else None


_OTHERS: dict[bytes, Callable[[bytes], Size]] = {
    _SUN_RASTER: _sun_raster,
    b"P7": _pam,
    b"#?RADIANCE": _radiance,
    b"#?RGBE": _radiance,
}
