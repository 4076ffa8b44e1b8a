"""Pictures are decoded as a viewer shows them: upright, with white as white, and every page."""

from __future__ import annotations

import io
import struct
import sys

import cv2
import numpy as np
import pytest

from agegender.shared.images.avif import avif_header
from agegender.shared.images.pictures import Bgr, OversizePicture, UnreadablePicture, decode_picture
from agegender.shared.images.sizes import claimed_size


def corners() -> Bgr:
    """Four quarters of different brightness, so that each way to turn it differs."""
    picture = np.zeros((64, 128, 3), np.uint8)
    picture[:32, :64], picture[:32, 64:], picture[32:, :64], picture[32:, 64:] = 0, 80, 160, 240
    return picture


def differs(one: Bgr, other: Bgr) -> float:
    assert one.shape == other.shape
    return float(np.abs(one.astype(int) - other).mean())


def encoded(picture: Bgr, suffix: str) -> bytes:
    return cv2.imencode(suffix, picture)[1].tobytes()


def with_properties(data: bytes, *properties: bytes) -> bytes:
    """An AVIF of one item with more properties, which are marked as essential."""
    added = b"".join(properties)
    container, association = data.index(b"ipco") - 4, data.index(b"ipma") - 4
    known = data[association + 18]
    numbers = bytes(0x80 | known + number + 1 for number in range(len(properties)))
    end = association + int.from_bytes(data[association : association + 4], "big")
    grown = bytearray(data[:association] + added + data[association:end] + numbers + data[end:])
    grown[association + len(added) + 18] += len(numbers)
    for at, more in (
        (data.index(b"meta") - 4, len(added) + len(numbers)),
        (data.index(b"iprp") - 4, len(added) + len(numbers)),
        (container, len(added)),
        (association + len(added), len(numbers)),
        (data.index(b"iloc") + 18, len(added) + len(numbers)),  # where the pixels begin
    ):
        grown[at : at + 4] = (int.from_bytes(grown[at : at + 4], "big") + more).to_bytes(4, "big")
    return bytes(grown)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_an_avif_is_turned_and_mirrored_as_it_states(turns: int, axis: int | None) -> None:
    properties = [b"\0\0\0\x09irot" + bytes([turns])]
    expected = np.rot90(corners(), turns)
    if axis is not None:
        properties.append(b"\0\0\0\x09imir" + bytes([axis]))
        expected = expected[::-1] if axis == 0 else expected[:, ::-1]
    data = with_properties(encoded(corners(), ".avif"), *properties)
    assert claimed_size(data) == (128, 64)
    assert differs(decode_picture(data), np.ascontiguousarray(expected)) < 3


def test_a_damaged_avif_header_is_no_error() -> None:
    whole = encoded(corners(), ".avif")
    for length in range(0, 400, 7):
        avif_header(whole[:length])
    with pytest.raises(UnreadablePicture):
        decode_picture(whole[:200])


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_a_webp_is_turned_by_its_exif(prefix: bytes) -> None:
    lying = np.ascontiguousarray(np.rot90(corners()))
    plain = encoded(lying, ".webp")
    exif = prefix + b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    size = struct.pack("<I", lying.shape[1] - 1)[:3] + struct.pack("<I", lying.shape[0] - 1)[:3]
    chunks = b"VP8X" + struct.pack("<I", 10) + b"\x08\0\0\0" + size + plain[12:]
    chunks += b"EXIF" + struct.pack("<I", len(exif)) + exif
    data = b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks
    assert differs(decode_picture(data), corners()) < 3


@pytest.mark.parametrize("maximum", [2, 100, 255, 1023, 4095, 65535])
@pytest.mark.parametrize("kind", ["P2", "P3", "P5", "P6", "P7"])
def test_white_is_the_maximum_that_netpbm_states(kind: str, maximum: int) -> None:
    channels = 3 if kind in ("P3", "P6") else 1
    levels = [0, maximum // 2, maximum]
    values = [level for level in levels for _ in range(channels)]
    if kind == "P7":
        header = f"P7\nWIDTH 3\nHEIGHT 1\nDEPTH 1\nMAXVAL {maximum}\nTUPLTYPE GRAYSCALE\nENDHDR\n"
    else:
        header = f"{kind}\n# a comment\n3 1\n{maximum}\n"
    if kind in ("P2", "P3"):
        body = " ".join(map(str, values)).encode() + b"\n"
    else:
        body = b"".join(struct.pack(">H" if maximum > 255 else "B", value) for value in values)
    shown = decode_picture(header.encode() + body)[0, :, 0].tolist()
    assert shown == pytest.approx([0, 255 * (maximum // 2) / maximum, 255], abs=1)


def os2_bitmap(picture: Bgr) -> bytes:
    height_px, width_px = picture.shape[:2]
    rows = b"".join(row.tobytes() + bytes(-len(row.tobytes()) % 4) for row in picture[::-1])
    head = struct.pack("<2sIHHI", b"BM", 26 + len(rows), 0, 0, 26)
    return head + struct.pack("<IHHHH", 12, width_px, height_px, 1, 24) + rows


def test_a_bitmap_of_os2_is_read() -> None:
    data = os2_bitmap(corners())
    assert claimed_size(data) == (128, 64)
    assert differs(decode_picture(data), corners()) == 0


def test_a_bitmap_that_stands_on_its_head_is_read() -> None:
    data = bytearray(encoded(corners(), ".bmp"))
    data[22:26] = struct.pack("<i", -64)
    assert claimed_size(bytes(data)) == (128, 64)
    assert differs(decode_picture(bytes(data)), corners()[::-1]) == 0


def tiff(picture: Bgr, order: str, *, is_big: bool) -> bytes:
    """Grey, one strip."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    height_px, width_px = grey.shape
    tags = [
        *((256, 3, width_px), (257, 3, height_px), (258, 3, 8), (259, 3, 1), (262, 3, 1)),
        *((273, 4, 0), (277, 3, 1), (278, 3, height_px), (279, 4, grey.size)),
    ]
    entry_bytes, head_bytes = (20, 16) if is_big else (12, 8)
    strip = head_bytes + (8 if is_big else 2) + entry_bytes * len(tags) + (8 if is_big else 4)
    mark = b"II" if order == "<" else b"MM"
    head = (
        mark + struct.pack(order + "HHHQ", 43, 8, 0, 16)
        if is_big
        else mark + struct.pack(order + "HI", 42, 8)
    )
    body = struct.pack(order + ("Q" if is_big else "H"), len(tags))
    for tag, kind, number in tags:
        value = struct.pack(order + ("H" if kind == 3 else "I"), strip if tag == 273 else number)
        field = struct.pack(order + ("HHQ" if is_big else "HHI"), tag, kind, 1)
        body += field + value.ljust(8 if is_big else 4, b"\0")
    return head + body + bytes(8 if is_big else 4) + grey.tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("is_big", [True, False])
def test_tiff_of_either_order_and_size_is_read(order: str, is_big: bool) -> None:
    data = tiff(corners(), order, is_big=is_big)
    assert claimed_size(data) == (128, 64)
    assert differs(decode_picture(data), corners()) == 0


def test_each_page_of_a_tiff_is_read() -> None:
    pages = [corners(), np.ascontiguousarray(corners()[::-1])]
    data = cv2.imencodemulti(".tiff", pages)[1].tobytes()
    assert [differs(decode_picture(data, page=n), one) for n, one in enumerate(pages)] == [0, 0]
    with pytest.raises(UnreadablePicture, match="expected a page up to 1, got 2"):
        decode_picture(data, page=2)


def test_a_heic_is_read_with_its_extra() -> None:
    pillow_heif = pytest.importorskip("pillow_heif", reason="the extra `heic` is not installed")
    file = io.BytesIO()
    rgb = np.ascontiguousarray(corners()[:, :, ::-1])
    pillow_heif.from_bytes("RGB", (128, 64), rgb.tobytes()).save(file, quality=95)
    data = file.getvalue()
    assert differs(decode_picture(data), corners()) < 3
    with pytest.raises(OversizePicture, match="claims 128 x 64 pixels"):
        decode_picture(data, max_pixels=128 * 64 - 1)
    with pytest.raises(UnreadablePicture, match="HEIC picture cannot be decoded"):
        decode_picture(data[:-100])


def test_a_heic_without_its_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(UnreadablePicture, match="pip install pillow-heif"):
        decode_picture(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", "HEIC"),
        (b"\xff\x0a" + bytes(30), "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(30), "JPEG XL"),
    ],
)
def test_a_kind_that_is_not_read_is_named(head: bytes, name: str) -> None:
    with pytest.raises(UnreadablePicture, match=name):
        decode_picture(head)
