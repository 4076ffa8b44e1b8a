"""Any bytes are decoded or refused, without allocating the memory that a header claims."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from agegender.shared.images.pictures import (
    Bgr,
    OversizePicture,
    UnreadablePicture,
    decode_picture,
    encode_jpeg,
    shrink,
)

Pixels = NDArray[np.integer[Any]]


def gradient(width_px: int, height_px: int) -> Bgr:
    """Blue rises to the right, green rises downwards, red is constant."""
    blue = np.tile(np.linspace(0, 255, width_px), (height_px, 1))
    green = np.tile(np.linspace(0, 255, height_px)[:, None], (1, width_px))
    return np.dstack([blue, green, np.full_like(blue, 128)]).astype(np.uint8)


def encoded(picture: Pixels, suffix: str) -> bytes:
    ok, data = cv2.imencode(suffix, picture)
    assert ok
    return data.tobytes()


JPEG = encode_jpeg(gradient(64, 48), 90)


def jpeg_claiming(width_px: int, height_px: int) -> bytes:
    """A small JPEG, its header patched."""
    at = JPEG.index(b"\xff\xc0")
    return JPEG[: at + 5] + struct.pack(">HH", height_px, width_px) + JPEG[at + 9 :]


def png_claiming(width_px: int, height_px: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + encoded(gradient(8, 8), ".png")[33:]


def with_orientation(jpeg: bytes, orientation: int) -> bytes:
    """The JPEG with an EXIF block that holds nothing but an orientation, 1 to 8."""
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    block = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + jpeg[2:]


@pytest.mark.parametrize(
    "suffix", [".jpg", ".png", ".bmp", ".webp", ".tiff", ".gif", ".ppm", ".jp2", ".avif"]
)
def test_every_common_format_is_decoded_as_blue_green_red(suffix: str) -> None:
    picture = decode_picture(encoded(gradient(160, 120), suffix))
    assert (picture.shape, picture.dtype.name) == ((120, 160, 3), "uint8")
    assert np.abs(picture.astype(int) - gradient(160, 120).astype(int)).mean() < 20


@pytest.mark.parametrize(
    "still",
    [
        gradient(40, 30)[:, :, 0],
        cv2.cvtColor(gradient(40, 30), cv2.COLOR_BGR2BGRA),
        gradient(40, 30).astype(np.uint16) * 257,
        gradient(40, 30)[:, :, 0].astype(np.uint16) * 257,
    ],
    ids=["grey", "with alpha", "16 bits", "grey of 16 bits"],
)
def test_every_kind_of_pixel_becomes_three_bytes(
    still: Pixels,
) -> None:
    picture = decode_picture(encoded(still, ".png"))
    assert (picture.shape, picture.dtype.name) == ((30, 40, 3), "uint8")
    assert np.abs(picture[:, :, 0].astype(int) - gradient(40, 30)[:, :, 0].astype(int)).max() <= 1


def test_a_picture_of_one_pixel_is_a_picture() -> None:
    assert decode_picture(encode_jpeg(np.full((1, 1, 3), 99, np.uint8), 90)).shape == (1, 1, 3)


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [(1, None), (3, cv2.ROTATE_180), (6, cv2.ROTATE_90_CLOCKWISE), (8, cv2.ROTATE_90_COUNTERCLOCKWISE)],
)
def test_a_photo_taken_sideways_is_turned_upright(orientation: int, turned: int | None) -> None:
    plain = decode_picture(JPEG)
    picture = decode_picture(with_orientation(JPEG, orientation))
    np.testing.assert_array_equal(picture, plain if turned is None else cv2.rotate(plain, turned))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".gif", ".tiff"])
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_truncated_picture_is_refused(suffix: str, share: float) -> None:
    whole = encoded(gradient(160, 120), suffix)
    with pytest.raises(UnreadablePicture):
        decode_picture(whole[: int(len(whole) * share)])


def test_a_truncated_jpeg_is_refused_a_longer_one_is_not() -> None:
    with pytest.raises(UnreadablePicture, match="64 x 48 pixels cannot be decoded"):
        decode_picture(JPEG[:-1])
    # As phones write them when they store a short video after the photo.
    assert decode_picture(JPEG + bytes(range(256)) * 40).shape == (48, 64, 3)


def test_a_png_chunk_longer_than_the_file_is_refused() -> None:
    whole = encoded(gradient(32, 32), ".png")
    claims_4_gb = whole[:33] + b"\xff" * 8 + whole[41:]
    for data in (claims_4_gb, whole[:60]):
        with pytest.raises(UnreadablePicture, match="the picture of 32 x 32 pixels is cut short"):
            decode_picture(data)
    assert decode_picture(whole + b"behind its end").shape == (32, 32, 3)


@pytest.mark.parametrize("claim", [jpeg_claiming, png_claiming], ids=["jpeg", "png"])
def test_a_claim_of_900_megapixels_costs_no_memory_or_time(
    claim: Callable[[int, int], bytes],
) -> None:
    data = claim(30_000, 30_000)
    tracemalloc.start()
    started_s = time.perf_counter()
    try:
        with pytest.raises(OversizePicture, match="claims 30000 x 30000 pixels, more than the 50000000"):
            decode_picture(data)
        assert time.perf_counter() - started_s < 1
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_an_oversize_picture_never_reaches_the_decoder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called = []
    monkeypatch.setattr(cv2, "imdecode", lambda *_: called.append(1))
    with pytest.raises(OversizePicture):
        decode_picture(JPEG, max_pixels=64 * 48 - 1)
    assert not called
    monkeypatch.undo()
    assert decode_picture(JPEG, max_pixels=64 * 48).shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"not a picture, only named like one\n", "no size in its header"),
        (b"\xff\xd8", "no size in its header"),
        (JPEG[:20], "no size in its header"),
        (b"BM", "no size in its header"),
        (b"<svg width='10' height='10'></svg>", "cannot be decoded"),
        (jpeg_claiming(0, 48), "no size in its header"),
    ],
)
def test_bytes_that_are_not_a_picture_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(UnreadablePicture, match=reason) as error:
        decode_picture(data)
    assert not isinstance(error.value, OversizePicture)


@given(st.integers(0, len(JPEG) - 1), st.binary(max_size=40))
@example(0, b"")
def test_no_damage_to_a_jpeg_raises_anything_else(at: int, garbage: bytes) -> None:
    damaged = JPEG[:at] + garbage + JPEG[at + len(garbage) :]
    try:
        picture = decode_picture(damaged, max_pixels=1_000_000)
    except UnreadablePicture:
        return
    assert picture.ndim == 3


@given(
    st.sampled_from(
        [b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"BM", b"II*\0", b"P6\n", b"GIF89a"]
    ),
    st.binary(max_size=80),
)
def test_no_bytes_at_all_raise_anything_else(start: bytes, rest: bytes) -> None:
    try:
        decode_picture(start + rest, max_pixels=1_000_000)
    except UnreadablePicture:
        return


@pytest.mark.parametrize(
    ("size_wh", "longer_side_px", "expected_wh"),
    [
        ((1920, 1080), 1280, (1280, 720)),
        ((1080, 1920), 1280, (720, 1280)),
        ((640, 360), 1280, (640, 360)),
        ((1280, 720), 1280, (1280, 720)),
        ((1, 1), 160, (1, 1)),
        ((5000, 3), 160, (160, 1)),
        ((3, 5000), 160, (1, 160)),
    ],
)
def test_a_picture_is_shrunk_in_proportion_never_enlarged(
    size_wh: tuple[int, int], longer_side_px: int, expected_wh: tuple[int, int]
) -> None:
    picture = shrink(gradient(*size_wh), longer_side_px)
    assert (picture.shape[1], picture.shape[0]) == expected_wh
    assert picture.dtype == np.uint8


def test_a_fine_pattern_is_shrunk_to_its_mean() -> None:
    stripes = np.zeros((100, 400, 3), np.uint8)
    stripes[:, ::2] = 200
    assert np.abs(shrink(stripes, 200).astype(int) - 100).max() <= 1


@pytest.mark.parametrize(
    ("size_wh", "longer_side_px", "size"), [((1280, 720), 960, (540, 960)), ((1280, 720), 300, (169, 300))]
)
def test_a_quick_shrink_differs_little(
    size_wh: tuple[int, int], longer_side_px: int, size: tuple[int, int]
) -> None:
    picture = gradient(*size_wh)
    quick = shrink(picture, longer_side_px, quick=True)
    assert quick.shape == (*size, 3)
    assert np.abs(quick.astype(int) - shrink(picture, longer_side_px)).max() <= 1


def test_a_quick_shrink_skips_no_pixel() -> None:
    stripes = np.zeros((96, 1600, 3), np.uint8)
    stripes[:, ::8] = 200
    assert np.abs(shrink(stripes, 200, quick=True).astype(int) - 25).max() <= 1


def test_a_jpeg_of_higher_quality_is_larger_and_nearer() -> None:
    noisy = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    low, high = encode_jpeg(noisy, 30), encode_jpeg(noisy, 95)
    assert len(low) < len(high)
    errors = [np.abs(decode_picture(one).astype(int) - noisy).mean() for one in (low, high)]
    assert errors[1] < errors[0]
