"""The formats of pictures that share the container of MP4, and JPEG XL."""

from __future__ import annotations

HEIC_BRANDS = frozenset(
    [
        b"heic",
        b"heix",
        b"heim",
        b"heis",
        b"hevc",
        b"hevx",
        b"hevm",
        b"hevs",
        b"mif1",
        b"mif2",
        b"miaf",
        b"msf1",
    ]
)
"""ISO/IEC 23008-12. `mif1` and `msf1` stand for any codec; an AVIF has the brand `avif` beside them."""

JPEG_XL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")


def major_and_all_brands(head: bytes) -> tuple[bytes, frozenset[bytes]]:
    """The major brand of a file that begins with a box `ftyp`, and all of its brands; else nothing.

    See ISO/IEC 14496-12, section 4.3.
    """
    if head[4:8] != b"ftyp":
        return b"", frozenset()
    length = min(int.from_bytes(head[:4], "big"), len(head))
    return head[8:12], frozenset([head[8:12], *(head[at : at + 4] for at in range(16, length - 3, 4))])


def is_avif(head: bytes) -> bool:
    """Whether the file is an AVIF picture, still or animated."""
    _, brands = major_and_all_brands(head)
    return bool(brands & {b"avif", b"avis"})


def is_heic(head: bytes) -> bool:
    """Whether the file is an HEIC or HEIF picture."""
    _, brands = major_and_all_brands(head)
    return bool(brands & HEIC_BRANDS) and b"avif" not in brands and b"avis" not in brands


def is_jpeg_xl(head: bytes) -> bool:
    """Whether the file is a JPEG XL picture."""
    return head.startswith(JPEG_XL_STARTS)
