"""Looks for pictures in everything that a run leaves behind, whole or in part, in every wrapping."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.support.secret_search import Places

SHORTEST_RUN_BYTES = 64
"""So many bytes in a row of a picture are found, wherever they begin."""

_BLOCK_BYTES = SHORTEST_RUN_BYTES // 2
_DULL = 8  # fewer different bytes in a block are padding, which stands anywhere

# How a JPEG begins: the marker of its start, then that of the first segment. Two bytes more than the three of
# the start alone, which come by chance in a few megabytes of numbers.
_BEGINNING = re.compile(rb"\xff\xd8\xff[\xc0-\xc2\xc4\xdb\xdd\xe0-\xef\xfe]")
_JFIF = b"JFIF\x00"
# The first bytes of the standard tables of ITU-T T.81, annex K. Encoders without own tables write them.
_TABLES = (
    bytes.fromhex("0002010303020403050504040000017d"),
    bytes.fromhex("0002010204040304070504040001027700"),
)

_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{44,}")
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2}){32,}")
_ESCAPE = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|u00([0-9A-Fa-f]{2})|(.))", re.DOTALL)
_SHORT_ESCAPES = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


class PictureSearch:
    """Knows some pictures.

    Args:
        pictures: as they went through Kafka.
    """

    def __init__(self, pictures: Iterable[bytes]) -> None:
        # Any run of 64 bytes holds one of the blocks that begin at the multiples of 32.
        self._blocks = {
            block
            for picture in pictures
            for start in range(0, len(picture) - _BLOCK_BYTES + 1, _BLOCK_BYTES)
            if len(set(block := picture[start : start + _BLOCK_BYTES])) >= _DULL
        }

    def found(self, places: Places) -> dict[str, str]:
        """The places that hold a picture or a part of one → what of it."""
        return {name: what for name, content in places.items() if (what := self.picture_in(content))}

    def picture_in(self, content: bytes) -> str | None:
        """What of a picture is in `content`; None: nothing."""
        for wrapping, bare in _unwrapped(content):
            what = self._in_bare(bare)
            if what is not None:
                return what if wrapping is None else f"{what}, as {wrapping}"
        return None

    def _in_bare(self, content: bytes) -> str | None:
        if _BEGINNING.search(content) or _JFIF in content:
            return "the beginning of a JPEG"
        if any(table in content for table in _TABLES):
            return "the tables of a JPEG"
        blocks = self._blocks
        for start in range(len(content) - _BLOCK_BYTES + 1):
            if content[start : start + _BLOCK_BYTES] in blocks:
                return "bytes of a picture that went through Kafka"
        return None


def _unwrapped(content: bytes) -> Iterator[tuple[str | None, bytes]]:
    yield None, content
    for found in _BASE64.finditer(content):
        signs = found[0].translate(bytes.maketrans(b"-_", b"+/"))
        # What stands before may be of the same alphabet: one of four beginnings is right.
        for start in range(4):
            part = signs[start:]
            yield "Base64", base64.b64decode(part[: len(part) // 4 * 4])
    for found in _HEX.finditer(content):
        for start in range(2):
            part = found[0][start:]
            yield "hexadecimal digits", binascii.unhexlify(part[: len(part) // 2 * 2])
    if _ESCAPE.search(content):
        yield "escaped text", _unescaped(content)


def _unescaped(content: bytes) -> bytes:
    """What the escapes of single bytes in Python's and JSON's texts stand for."""

    def meant(escape: re.Match[bytes]) -> bytes:
        digits, sign = escape[1] or escape[2], escape[3]
        return bytes.fromhex(digits.decode()) if digits else _SHORT_ESCAPES.get(sign, sign)

    return _ESCAPE.sub(meant, content)


def wrapped(picture: bytes) -> Mapping[str, bytes]:
    """The wrappings that a search sees through → `picture` in each of them, with something around it."""
    return {
        "raw": b"before " + picture + b" after",
        "Base64": b'{"picture": "' + base64.b64encode(picture) + b'"}',
        "Base64 inside of Base64's signs": b"data/" + base64.urlsafe_b64encode(b"xy" + picture),
        "hexadecimal digits": b"picture=" + picture.hex().encode(),
        "Python": repr(picture).encode(),
        "JSON": json.dumps(picture.decode("latin-1")).encode(),
    }


def of_folders(*folders: Path) -> dict[str, bytes]:
    """Every file below the folders, with its name."""
    return {
        f"file {folder.name}/{path.relative_to(folder)}": path.name.encode() + b"\n" + path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
