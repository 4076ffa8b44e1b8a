"""Tells pictures and videos apart by their first bytes, because suffixes are often missing or wrong."""

from __future__ import annotations

import os
import re
import stat
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO

from agegender.shared.images.containers import HEIC_BRANDS, JPEG_XL_STARTS, major_and_all_brands
from agegender.shared.images.sizes import claimed_size

_HEAD_BYTES = 4096


class FileKind(StrEnum):
    """What a file holds."""

    PICTURE = "picture"
    """Also one that `decode_picture` refuses with a reason, such as HEIC."""
    VIDEO = "video"
    """Also an animated picture."""
    UNKNOWN = "unknown"


PICTURE_SUFFIXES = frozenset(
    [
        *(".avif", ".bmp", ".dib", ".gif", ".hdr", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".pam", ".pbm"),
        *(".pgm", ".pic", ".png", ".pnm", ".ppm", ".ras", ".sr", ".tif", ".tiff", ".webp"),
    ]
)
VIDEO_SUFFIXES = frozenset(
    [
        *(".3gp", ".asf", ".avi", ".flv", ".h264", ".hevc", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg"),
        *(".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
    ]
)

_SOUND_BRANDS = frozenset([b"M4A ", b"M4B ", b"M4P "])
_MOV_BOXES = (b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)
_NETPBM = re.compile(rb"P[1-7][\s#]")
# Each of these is named like its format in FFmpeg or OpenCV.
_PICTURES = (
    b"\xff\xd8\xff",  # JPEG
    b"\x89PNG\r\n\x1a\n",
    b"II*\0",
    b"MM\0*",
    b"II+\0",  # BigTIFF
    b"MM\0+",
    b"\0\0\0\x0cjP  ",  # JPEG 2000
    b"\xff\x4f\xff\x51",
    b"\x59\xa6\x6a\x95",  # Sun raster
    b"#?RADIANCE",
    b"#?RGBE",
    *JPEG_XL_STARTS,
)
_VIDEOS = (
    b"\x1a\x45\xdf\xa3",  # Matroska, WebM
    b"FLV\x01",
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF, WMV
    b"\0\0\x01\xba",  # MPEG program stream
    b"\0\0\x01\xb3",  # MPEG-1 and MPEG-2 video
    b"\0\0\x01\xb0",  # MPEG-4 video
    b"\x06\x0e\x2b\x34",  # MXF
    b"YUV4MPEG2 ",
    b"DKIF",  # IVF
    b"nut/multimedia container",
    b".RMF",
    b"\xb7\xd8\x00\x20\x37\x49\xda\x11",  # WTV
)
_H26X_STARTS = (b"\0\0\0\x01", b"\0\0\x01")


def kind_of(path: Path) -> FileKind:
    """The kind of a plain file, by its content; by its suffix if the content says nothing.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        kind = kind_of_content(file)
    return kind_by_suffix(path) if kind is FileKind.UNKNOWN else kind


def kind_by_suffix(path: Path) -> FileKind:
    """The kind that the name promises."""
    suffix = path.suffix.lower()
    if suffix in PICTURE_SUFFIXES:
        return FileKind.PICTURE
    return FileKind.VIDEO if suffix in VIDEO_SUFFIXES else FileKind.UNKNOWN


def kind_of_content(file: BinaryIO) -> FileKind:
    """The kind of an open file, by its content alone."""
    head = file.read(_HEAD_BYTES)
    if head[4:8] == b"ftyp":
        return _kind_by_brands(head)
    if _is_animated(head, file):
        return FileKind.VIDEO
    if _is_picture(head):
        return FileKind.PICTURE
    return FileKind.VIDEO if _is_video(head) else FileKind.UNKNOWN


def is_picture_file(path: Path) -> bool:
    """Whether `path` is a plain file that holds a picture. False if it cannot be read."""
    try:
        return stat.S_ISREG(path.stat().st_mode) and kind_of(path) is FileKind.PICTURE
    except OSError:
        return False


def _kind_by_brands(head: bytes) -> FileKind:
    major, brands = major_and_all_brands(head)
    if major in _SOUND_BRANDS:
        return FileKind.UNKNOWN
    # `avis`: an animated AVIF. FFmpeg plays it.
    is_picture = major != b"avis" and brands & {b"avif", *HEIC_BRANDS}
    return FileKind.PICTURE if is_picture else FileKind.VIDEO


def _is_picture(head: bytes) -> bool:
    if head.startswith(b"BM"):
        return len(head) >= 18 and int.from_bytes(head[14:18], "little") in _BMP_HEADERS
    is_webp = head.startswith(b"RIFF") and head[8:12] == b"WEBP"
    is_gif = head.startswith((b"GIF87a", b"GIF89a"))
    is_netpbm = _NETPBM.match(head) is not None and claimed_size(head) is not None
    return is_webp or is_gif or is_netpbm or head.startswith(_PICTURES)


def _is_video(head: bytes) -> bool:
    if head.startswith(_VIDEOS) or head[4:8] in _MOV_BOXES:
        return True
    if head.startswith(b"RIFF"):
        return head[8:12] == b"AVI "
    if head.startswith(b"OggS"):
        return b"theora" in head or b"\x01video" in head or b"\x80kate" in head
    # MPEG-TS: a packet of 188 bytes begins with 0x47; in M2TS, four bytes of time stand before it.
    for first, step in ((0, 188), (4, 192)):
        syncs = head[first::step]
        if len(syncs) >= 4 and set(syncs[:5]) == {0x47}:
            return True
    return any(head.startswith(start) and _is_parameter_set(head[len(start) :]) for start in _H26X_STARTS)


def _is_parameter_set(unit: bytes) -> bool:
    """Whether a bare stream begins as H.264 does (parameters or a delimiter) or as H.265 does."""
    h264, h265 = unit[:1], unit[:2]
    return h264 in (b"\x67", b"\x27", b"\x47", b"\x09") or h265 in (b"\x40\x01", b"\x42\x01", b"\x46\x01")


def _is_animated(head: bytes, file: BinaryIO) -> bool:
    """Whether a GIF, PNG or WebP holds more than one picture."""
    if head.startswith((b"GIF87a", b"GIF89a")):
        return _gif_pictures(file, at_most=2) > 1
    if head.startswith(b"\x89PNG"):
        return _is_animated_png(file)
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20:21] and head[20] & 2)


def _is_animated_png(file: BinaryIO) -> bool:
    """PNG, third edition, section 11.3.4: the chunk acTL stands before IDAT."""
    file.seek(8)
    while len(chunk := file.read(8)) == 8:
        length, kind = int.from_bytes(chunk[:4], "big"), chunk[4:]
        if kind == b"acTL":
            return int.from_bytes(file.read(4), "big") > 1
        if kind in (b"IDAT", b"IEND"):
            return False
        file.seek(length + 4, os.SEEK_CUR)
    return False


def _gif_pictures(file: BinaryIO, at_most: int) -> int:
    """Counts the pictures of a GIF up to `at_most` (GIF89a, sections 18 to 27)."""
    file.seek(6)
    screen = file.read(7)
    if len(screen) < 7:
        return 0
    _skip_colours(file, screen[4])
    count = 0
    while count < at_most:
        match file.read(1):
            case b"\x21":
                file.seek(1, os.SEEK_CUR)
            case b"\x2c":
                descriptor = file.read(9)
                if len(descriptor) < 9:
                    return count
                count += 1
                _skip_colours(file, descriptor[8])
                file.seek(1, os.SEEK_CUR)
            case _:
                return count
        while length := file.read(1)[:1]:
            if length == b"\0":
                break
            file.seek(length[0], os.SEEK_CUR)
    return count


def _skip_colours(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        file.seek(3 << (flags & 7) + 1, os.SEEK_CUR)
