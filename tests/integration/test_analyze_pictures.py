"""The functions to import, on pictures of every kind."""

from __future__ import annotations

import struct
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import age_gender_detection
from age_gender_detection import Analyzer, Unreadable, analyze_image, analyze_images
from agegender.analysis.pictures import PictureLike, PixelArray
from agegender.shared.images.pictures import encode_jpeg
from agegender.shared.messages.pipeline import Result
from tests.support.faces import ASTRONAUT, ASTRONAUT_BOX_XYXY, astronaut, fetched_samples, no_face, portraits


@pytest.fixture(scope="module")
def analyzer() -> Iterator[Analyzer]:
    with Analyzer(workers=2) as made:
        yield made


def box_error_px(result: Result) -> float:
    return max(abs(a - b) for a, b in zip(result.face.box_xyxy, ASTRONAUT_BOX_XYXY, strict=True))


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_every_face_is_found_from_left_to_right(analyzer: Analyzer, count: int) -> None:
    results = analyzer.analyze_image(portraits(count))
    assert [one.face.index for one in results] == list(range(count))
    assert [int(one.face.box_xyxy[0]) // 256 for one in results] == list(range(count))
    assert {one.gender for one in results} <= {"female"}


def test_the_five_people_of_the_sample_photo_are_found(analyzer: Analyzer) -> None:
    results = analyzer.analyze_image(fetched_samples().multi_face)
    assert [one.gender for one in results] == ["male", "female", "male", "female", "female"]


@pytest.mark.parametrize(
    "pixels",
    [
        astronaut(),
        astronaut().astype(np.uint16) * 257,
        cv2.cvtColor(astronaut(), cv2.COLOR_BGR2BGRA),
        cv2.cvtColor(astronaut(), cv2.COLOR_BGR2GRAY),
        cv2.cvtColor(astronaut(), cv2.COLOR_BGR2GRAY)[:, :, np.newaxis],
        np.asfortranarray(astronaut()),
    ],
    ids=["colour", "16 bits", "with alpha", "grey", "grey of one channel", "of another layout"],
)
def test_an_array_of_any_kind_gives_the_face_at_its_place(analyzer: Analyzer, pixels: PixelArray) -> None:
    (result,) = analyzer.analyze_image(pixels)
    assert box_error_px(result) < 8
    assert (result.face.frame.width_px, result.face.frame.height_px) == (512, 512)


def test_red_first_and_blue_first_give_the_same(analyzer: Analyzer) -> None:
    (bgr,) = analyzer.analyze_image(astronaut())
    (rgb,) = analyzer.analyze_image(astronaut()[:, :, ::-1], colour="rgb")
    (rgba,) = analyzer.analyze_image(cv2.cvtColor(astronaut(), cv2.COLOR_BGR2RGBA), colour="rgb")
    (wrong,) = analyzer.analyze_image(astronaut()[:, :, ::-1])
    assert bgr.age_years == rgb.age_years == rgba.age_years
    assert wrong.age_years != bgr.age_years


def _as_kind(kind: str) -> NDArray[Any]:
    pixels: NDArray[Any] = astronaut()
    if "grey" in kind:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    if "alpha" in kind:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA)
    if "16" in kind:
        pixels = pixels.astype(np.uint16) * 257
    return pixels.astype(np.float32) / 255 if "float" in kind else pixels


@pytest.mark.parametrize(
    ("suffix", "kind"),
    [
        *(
            (suffix, "colour")
            for suffix in (".jpg", ".png", ".bmp", ".webp", ".tiff", ".ppm", ".ras", ".avif")
        ),
        *((suffix, "grey") for suffix in (".jpg", ".png", ".bmp", ".tiff", ".pgm", ".pam", ".jp2")),
        *((suffix, "16 bits") for suffix in (".png", ".tiff", ".ppm", ".jp2")),
        *((suffix, "alpha") for suffix in (".png", ".webp", ".tiff")),
        *((".png", kind) for kind in ("grey of 16 bits", "alpha, 16 bits")),
        (".hdr", "float"),
    ],
)
def test_files_of_every_format_and_kind_are_read(
    analyzer: Analyzer, tmp_path: Path, suffix: str, kind: str
) -> None:
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(cv2.imencode(suffix, _as_kind(kind))[1].tobytes())
    (result,) = analyzer.analyze_image(path)
    assert box_error_px(result) < 8


def test_a_photo_taken_sideways_is_analyzed_upright(analyzer: Analyzer, tmp_path: Path) -> None:
    lying = encode_jpeg(np.ascontiguousarray(np.rot90(astronaut())), 95)
    tiff = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x0112, 3, 1, 6, 0, 0)
    block = b"Exif\0\0" + tiff
    path = tmp_path / "sideways.jpg"
    path.write_bytes(lying[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + lying[2:])
    (result,) = analyzer.analyze_image(path)
    assert box_error_px(result) < 8


def test_a_face_of_a_large_photo_is_judged_at_its_own_resolution(analyzer: Analyzer) -> None:
    """Shrunk to 1280 px, as cameras are, this face would have 24 px."""
    canvas = np.full((3_000, 4_000, 3), 120, np.uint8)
    face_px = cv2.resize(astronaut(), (340, 340), interpolation=cv2.INTER_AREA)
    canvas[1_000:1_340, 2_000:2_340] = face_px
    (alone,) = analyzer.analyze_image(np.asarray(face_px, np.uint8))
    (within,) = analyzer.analyze_image(canvas)
    assert within.face.frame.width_px == 4_000
    assert within.face.box_xyxy[0] == pytest.approx(alone.face.box_xyxy[0] + 2_000, abs=6)
    assert within.age_years == pytest.approx(alone.age_years, abs=6)


def test_the_back_row_of_a_photo_of_24_megapixels_is_found(analyzer: Analyzer) -> None:
    photo = no_face(6_000, 4_000)
    portrait = cv2.resize(astronaut(), (362, 362), interpolation=cv2.INTER_AREA)
    for left_px in range(500, 5_500, 1_000):
        photo[1_000:1_362, left_px : left_px + 362] = portrait
    results = analyzer.analyze_image(photo)
    assert len(results) == 5
    assert {one.gender for one in results} == {"female"}


@pytest.mark.parametrize("size_wh", [(1, 1), (1, 400), (7, 3)])
def test_pictures_of_hardly_any_pixel_have_no_face(analyzer: Analyzer, size_wh: tuple[int, int]) -> None:
    assert analyzer.analyze_image(no_face(*size_wh)) == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"a text", "no picture"),
        (ASTRONAUT.read_bytes()[:20_000], "cannot be decoded"),
        (
            b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0),
            "claims 30000 x 30000 pixels",
        ),
        (b"\x59\xa6\x6a\x95" + struct.pack(">II", 30_000, 30_000) + bytes(30), "claims 30000 x 30000 pixels"),
        (b"P7\nWIDTH 30000\nHEIGHT 30000\nDEPTH 3\nMAXVAL 255\nENDHDR\n", "claims 30000 x 30000 pixels"),
        (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 30000 +X 30000\n", "claims 30000 x 30000 pixels"),
    ],
)
def test_a_file_that_is_no_picture_is_refused_with_the_reason(
    analyzer: Analyzer, tmp_path: Path, content: bytes, why: str
) -> None:
    path = tmp_path / "Ümläut und 空白.jpg"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=why) as error:
        analyzer.analyze_image(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("kind", ["file", "bytes", "array"])
def test_a_picture_with_a_side_that_no_message_holds_is_refused(
    analyzer: Analyzer, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "wide.png"
    cv2.imwrite(str(path), no_face(65_536, 2))
    pictures: dict[str, PictureLike] = {
        "file": path,
        "bytes": path.read_bytes(),
        "array": no_face(65_536, 2),
    }
    with pytest.raises(Unreadable, match="65536 x 2 pixels: a side is over 65535"):
        analyzer.analyze_image(pictures[kind])
    assert analyzer.analyze_image(no_face(2, 65_535)) == []


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(analyzer: Analyzer, pixels: PixelArray) -> None:
    with pytest.raises(ValueError, match="expected an array of shape"):
        analyzer.analyze_image(pixels)


def test_a_batch_keeps_its_order_past_unreadable_pictures(analyzer: Analyzer) -> None:
    pictures: list[PictureLike] = [
        portraits(2),
        b"no picture",
        ASTRONAUT,
        portraits(0),
        str(ASTRONAUT),
        portraits(1),
    ] * 3
    found = list(analyzer.analyze_images(pictures))
    counts = [None if isinstance(one, Unreadable) else len(one) for one in found]
    assert counts == [2, None, 1, 0, 1, 1] * 3


def test_a_batch_takes_pictures_only_as_they_are_needed(analyzer: Analyzer) -> None:
    taken = 0

    def endless() -> Iterator[NDArray[np.uint8]]:
        nonlocal taken
        while True:
            taken += 1
            yield portraits(0)

    results = analyzer.analyze_images(endless())
    assert [next(results) for _ in range(3)] == [[], [], []]
    assert taken <= 3 + 2 * analyzer.workers


def test_many_threads_get_the_same_answers_as_one(analyzer: Analyzer) -> None:
    pictures = [portraits(count) for count in (0, 1, 2)] * 2
    alone = [[(r.age_years, r.gender) for r in analyzer.analyze_image(one)] for one in pictures]
    barrier = threading.Barrier(8)

    def work(_: int) -> list[list[tuple[float | None, str]]]:
        barrier.wait()
        return [[(r.age_years, r.gender) for r in analyzer.analyze_image(one)] for one in pictures]

    with ThreadPoolExecutor(8) as threads:
        assert all(answers == alone for answers in threads.map(work, range(8)))


def test_the_functions_share_one_analyzer() -> None:
    assert len(analyze_image(ASTRONAUT)) == 1
    assert [len(one) for one in analyze_images([ASTRONAUT]) if isinstance(one, list)] == [1]
    assert age_gender_detection._analyzer() is age_gender_detection._analyzer()
