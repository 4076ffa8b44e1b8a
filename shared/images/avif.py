"""What the header of an AVIF states: its size, and how it is turned and mirrored."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_MOST_BOXES = 1_000
_MOST_ITEMS = 1_000
_FULL_BOX_BYTES = 4  # version and flags


@dataclass(frozen=True, slots=True)
class AvifHeader:
    """ISO/IEC 23008-12, sections 6.5.3, 6.5.10 and 6.5.12."""

    width_px: int
    """The largest of all pictures in the file."""
    height_px: int
    quarter_turns: int = 0
    """Anticlockwise; they come before the mirroring."""
    mirror_axis: int | None = None
    """0 exchanges top and bottom, 1 left and right."""


def avif_header(data: bytes) -> AvifHeader | None:
    """None if `data` states no size."""
    meta = _first(data, b"meta")[_FULL_BOX_BYTES:]
    properties = list(_boxes(_first(_first(meta, b"iprp"), b"ipco")))
    sizes = [
        struct.unpack_from(">II", body, 4) for kind, body in properties if kind == b"ispe" and len(body) >= 12
    ]
    if not sizes:
        return None
    width_px, height_px = max(sizes, key=lambda size: size[0] * size[1])
    turns, axis = 0, None
    for number in _of_primary(meta):
        kind, body = properties[number - 1] if 0 < number <= len(properties) else (b"", b"")
        if kind == b"irot" and body:
            turns = body[0] & 3
        elif kind == b"imir" and body:
            axis = body[0] & 1
    return AvifHeader(width_px, height_px, turns, axis)


def _of_primary(meta: bytes) -> list[int]:
    """The numbers of the properties of the primary item, from 1."""
    primary_box, association = _first(meta, b"pitm"), _first(_first(meta, b"iprp"), b"ipma")
    try:
        (primary,) = struct.unpack_from(">I" if primary_box[0] else ">H", primary_box, _FULL_BOX_BYTES)
        has_long_ids, has_long_numbers = association[0] > 0, association[3] & 1
        (count,) = struct.unpack_from(">I", association, _FULL_BOX_BYTES)
        at = _FULL_BOX_BYTES + 4
        for _ in range(min(count, _MOST_ITEMS)):
            (item,) = struct.unpack_from(">I" if has_long_ids else ">H", association, at)
            at += 4 if has_long_ids else 2
            length = association[at]
            form = f">{length}{'H' if has_long_numbers else 'B'}"
            numbers = struct.unpack_from(form, association, at + 1)
            at += 1 + struct.calcsize(form)
            if item == primary:
                # The highest bit says that the property must be understood.
                return [number & (0x7FFF if has_long_numbers else 0x7F) for number in numbers]
    except (struct.error, IndexError):
        pass
    return []


def _first(data: bytes, wanted: bytes) -> bytes:
    return next((body for kind, body in _boxes(data) if kind == wanted), b"")


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The boxes in a row: kind and body (ISO/IEC 14496-12, section 4.2)."""
    at = 0
    for _ in range(_MOST_BOXES):
        if at + 8 > len(data):
            return
        length, begin = int.from_bytes(data[at : at + 4], "big"), at + 8
        if length == 1:
            length, begin = int.from_bytes(data[begin : begin + 8], "big"), begin + 8
        end = len(data) if length == 0 else at + length
        if end < begin:
            return
        yield data[at + 4 : at + 8], data[begin:end]
        at = end
