"""Detects that the end of a video file is missing, by the number of bytes that the file states.

FFmpeg reports no error for a file that was cut between two frames. Durations do not help: even in an intact
file they may be rounded, guessed, or those of the sound. But an intact file has all of its bytes. MPEG-TS,
MPEG programs, FLV, Ogg and bare streams state no number of bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_MOST_PARTS = 100_000  # more than a day of fragments, read within a second
_SEGMENT = 0x8538067  # RFC 9559, section 5.1, without the marker bit of the length
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")  # ASF specification, section 3.2


def is_cut_short(path: Path, container: str) -> bool:
    """Whether the file is shorter than it states; False if it states no size or cannot be read.

    Args:
        path: the file.
        container: FFmpeg's name of its format.
    """
    stated_end = _STATED_ENDS.get(container)
    if stated_end is None:
        return False
    try:
        with path.open("rb") as file:
            size_bytes = os.fstat(file.fileno()).st_size
            return stated_end(file, size_bytes) > size_bytes
    except OSError:
        return False


def _mp4_end(file: BinaryIO, size_bytes: int) -> int:
    """ISO/IEC 14496-12, section 4.2. Any bytes may follow the last box, so only media boxes count."""
    at = 0
    for _ in range(_MOST_PARTS):
        file.seek(at)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:], "big")
        if len(header) < 8 or length < 8:
            return 0
        if at + length > size_bytes:
            return at + length if kind in (b"mdat", b"moof") else 0
        at += length
    return 0


def _matroska_end(file: BinaryIO, _size_bytes: int) -> int:
    for _ in range(_MOST_PARTS):
        name, length = _ebml_number(file), _ebml_number(file)
        if name is None or length is None:
            return 0
        if name == _SEGMENT:
            return file.tell() + length
        file.seek(length, os.SEEK_CUR)
    return 0


def _ebml_number(file: BinaryIO) -> int | None:
    """RFC 8794, section 4. None if the size is unknown, as in live streams, or at the end of the file."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    data = first + file.read(length - 1)
    marker = 1 << 7 * length
    value = int.from_bytes(data, "big") ^ marker
    return None if len(data) < length or value == marker - 1 else value


def _avi_end(file: BinaryIO, size_bytes: int) -> int:
    """RIFF chunks of a gigabyte each. An unfinished chunk states 0 or the maximum."""
    at = 0
    for _ in range(_MOST_PARTS):
        file.seek(at)
        header = file.read(8)
        length = int.from_bytes(header[4:], "little")
        if header[:4] != b"RIFF" or length in (0, 2**32 - 1):
            return 0
        at += 8 + length
        if at > size_bytes:
            return at
        at += length % 2
    return 0


def _asf_end(file: BinaryIO, _size_bytes: int) -> int:
    """ASF specification, section 2.1: the header, then the data. A live stream states no length."""
    file.seek(16)
    at = int.from_bytes(file.read(8), "little")
    if at >= 2**63:
        return 0
    file.seek(at)
    data = file.read(24)
    return at + int.from_bytes(data[16:], "little") if data.startswith(_ASF_DATA) else 0


_STATED_ENDS: dict[str, Callable[[BinaryIO, int], int]] = {
    "mov,mp4,m4a,3gp,3g2,mj2": _mp4_end,
    "matroska,webm": _matroska_end,
    "avi": _avi_end,
    "asf": _asf_end,
}
