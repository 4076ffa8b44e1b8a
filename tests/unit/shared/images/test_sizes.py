"""The size in a header is read quickly, and is the size that the decoder finds."""

from __future__ import annotations

import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agegender.shared.images.pictures import OversizePicture, UnreadablePicture, decode_picture
from agegender.shared.images.sizes import claimed_size
from agegender.shared.messages.codec import MAX_MESSAGE_BYTES


def box(kind: bytes, content: bytes) -> bytes:
    """A part of a HEIF or JPEG 2000 file."""
    return struct.pack(">I4s", 8 + len(content), kind) + content


_FREE = box(b"free", b"")
_MANY = MAX_MESSAGE_BYTES // len(_FREE) - 20
_HEIF = box(b"ftyp", b"heic\0\0\0\0heic")
_ENDLESS = {
    "Netpbm, digits": (b"P6 ", b"1"),
    "Netpbm, zeros": (b"P6 1 ", b"0"),
    "Netpbm, spaces": (b"P6", b" "),
    "Netpbm, a comment": (b"P6\n#", b"x"),
    "Netpbm, comments": (b"P6\n", b"#\n"),
    "PAM, digits": (b"P7\nWIDTH ", b"1"),
    "PAM, fields": (b"P7\n", b"WIDTH 1\n"),
    "Radiance, sizes": (b"#?RADIANCE\n", b"-Y 1 +X "),
    "JPEG, filler": (b"\xff\xd8", b"\xff"),
    "JPEG, zeros": (b"\xff\xd8", b"\0"),
    "JPEG, segments": (b"\xff\xd8", b"\xff\xe2\0\2"),
    "JPEG, markers": (b"\xff\xd8", b"\xff\xd0"),
    "TIFF, fields": (b"II*\0\x08\0\0\0\xff\xff", bytes(12)),
    "BigTIFF, fields": (b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**63), bytes(20)),
    "JPEG 2000, boxes": (b"\0\0\0\x0cjP  \r\n\x87\n", _FREE),
    "HEIF, boxes": (_HEIF, _FREE),
    "HEIF, brands": (struct.pack(">I4s", MAX_MESSAGE_BYTES, b"ftyp"), b"none"),
    "HEIF, properties": (_HEIF + box(b"meta", bytes(4) + box(b"iprp", box(b"ipco", _FREE * _MANY))), b"\0"),
    "SVG, digits": (b"<svg width='", b"9"),
    "SVG, fields": (b"<svg ", b"width='"),
    "PNG, chunks": (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x08\0\0\0\x08\x08\2\0\0\0" + bytes(4),
        b"\0\0\0\0tEXt\0\0\0\0",
    ),
    "GIF, comments": (b"GIF89a\x08\0\x08\0\0\0\0", b"\x21\xfe\0"),
}


@pytest.mark.parametrize("pieces", _ENDLESS.values(), ids=_ENDLESS.keys())
def test_a_header_of_the_largest_message_is_read_in_seconds(pieces: tuple[bytes, bytes]) -> None:
    start, piece = pieces
    data = start + piece * max(1, (MAX_MESSAGE_BYTES - len(start)) // len(piece))
    began_s = time.perf_counter()
    with pytest.raises(UnreadablePicture):
        decode_picture(data)
    assert time.perf_counter() - began_s < 15


@pytest.mark.parametrize(
    ("header", "size_wh"),
    [
        (b"P5 3 2 255\n", (3, 2)),
        (b"P6\n# drawn by hand\n3\n# and wide\n2\n255\n", (3, 2)),
        (b"P2\r\n3 2\r\n1\r\n", (3, 2)),
        (b"P5\n3#4\n2\n255\n", (3, 4)),
        (b"P6\n#\r60000 60000\n3 2\n255\n", (60_000, 60_000)),
        (b"P5 03 0000000002 255\n", None),
        (b"P5 3 20", None),
        (b"P5 -3 2 255\n", None),
        (b"P5 0 2 255\n", None),
        (b"P5\n#" + b"x" * 4_084 + b"\n3 " + b"2" * 20 + b" 255\n", None),
        (b"PF\n3 2\n-1.0\n", None),
    ],
)
def test_a_netpbm_claims_the_size_that_the_decoder_reads(
    header: bytes, size_wh: tuple[int, int] | None
) -> None:
    assert claimed_size(header) == size_wh


def test_a_size_after_a_short_comment_is_found() -> None:
    with pytest.raises(OversizePicture, match="claims 60000 x 60000 pixels"):
        decode_picture(b"P6\n#\r60000 60000\n3 2\n255\n" + bytes(100))


@given(
    st.sampled_from([b"P2", b"P4", b"P5", b"P6"]),
    st.lists(
        st.sampled_from([b" ", b"\n", b"\r", b"\t", b"#", b"x", b"3", b"2", b"0", b"16", b"255"]), max_size=14
    ),
)
def test_a_decoded_netpbm_has_the_size_of_its_header(kind: bytes, pieces: list[bytes]) -> None:
    data = kind + b"\n" + b"".join(pieces) + b" 3 2 255\n" + b"1 " * 200
    try:
        picture = decode_picture(data, max_pixels=100)
    except UnreadablePicture:
        return
    assert (picture.shape[1], picture.shape[0]) == claimed_size(data)


def test_an_svg_of_infinite_size_is_not_a_picture() -> None:
    assert claimed_size(b"<svg width='" + b"9" * 400 + b"' height='1'></svg>") is None
