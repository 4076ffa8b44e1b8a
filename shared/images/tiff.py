"""The directories of a TIFF, one for each page (TIFF 6.0, section 2, and BigTIFF)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_MOST_DIRECTORIES = 10_000
_MOST_FIELDS = 4_096
_SUBFILE, _WIDTH, _LENGTH = 254, 256, 257
_REDUCED_OR_MASK = 0b101
_FORMATS = {1: "B", 3: "H", 4: "I", 16: "Q"}


@dataclass(frozen=True, slots=True)
class TiffPage:
    """One directory that holds a picture."""

    directory: int
    """Its place in the file, from 0, as OpenCV counts them."""
    width_px: int
    height_px: int


def tiff_pages(file: BinaryIO) -> list[TiffPage]:
    """The pages of an open TIFF in their order; none of another file.

    Smaller versions of a picture and masks are left out.
    """
    file.seek(0)
    head = file.read(16)
    if not head.startswith(TIFF_STARTS) or len(head) < 8:
        return []
    order = "<" if head.startswith(b"II") else ">"
    is_big = head[2:4] in (b"+\0", b"\0+")
    if is_big and len(head) < 16:
        return []
    at = int(struct.unpack_from(order + ("Q" if is_big else "I"), head, 8 if is_big else 4)[0])
    pages = []
    for number, fields in enumerate(_directories(file, order, at, is_big=is_big)):
        if not fields.get(_SUBFILE, 0) & _REDUCED_OR_MASK:
            pages.append(TiffPage(number, fields.get(_WIDTH, 0), fields.get(_LENGTH, 0)))
    return pages


def _directories(file: BinaryIO, order: str, at: int, *, is_big: bool) -> Iterator[dict[int, int]]:
    counting = struct.Struct(order + ("Q" if is_big else "H"))
    following = struct.Struct(order + ("Q" if is_big else "I"))
    entry = struct.Struct(order + ("HHQ8s" if is_big else "HHI4s"))
    seen: set[int] = set()
    while 0 < at < 2**63 and at not in seen and len(seen) < _MOST_DIRECTORIES:
        seen.add(at)
        file.seek(at)
        if len(data := file.read(counting.size)) < counting.size:
            return
        (count,) = counting.unpack(data)
        if count > _MOST_FIELDS or len(data := file.read(count * entry.size)) < count * entry.size:
            return
        fields = {}
        for tag, kind, _, value in entry.iter_unpack(data):
            if kind in _FORMATS and tag in (_SUBFILE, _WIDTH, _LENGTH) and (is_big or kind != 16):
                fields[tag] = int(struct.unpack_from(order + _FORMATS[kind], value)[0])
        yield fields
        data = file.read(following.size)
        at = int(following.unpack(data)[0]) if len(data) == following.size else 0
