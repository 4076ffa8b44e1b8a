"""The functions to import: what they accept, what they refuse, and what they do after a fork."""

from __future__ import annotations

import io
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from age_gender_detection import Analyzer, Unreadable
from tests.support.faces import ASTRONAUT, ASTRONAUT_BOX_XYXY, astronaut, no_face


@pytest.fixture(scope="module")
def analyzer() -> Iterator[Analyzer]:
    with Analyzer(workers=1) as made:
        yield made


class PillowLike:
    """As an image of Pillow: red first, not turned by its EXIF."""

    def __init__(self, orientation: int = 1, mode: str = "RGB") -> None:
        self.mode = mode
        self._orientation = orientation
        self._pixels = cv2.cvtColor(astronaut(), cv2.COLOR_BGR2RGB)
        if mode == "I;16":
            self._pixels = cv2.cvtColor(astronaut(), cv2.COLOR_BGR2GRAY).astype(np.uint16) * 257
        if orientation == 6:
            self._pixels = np.ascontiguousarray(np.rot90(self._pixels))
        self.size = (self._pixels.shape[1], self._pixels.shape[0])

    def convert(self, mode: str) -> PillowLike:
        assert mode == "RGB"
        assert self.mode != "I;16"
        return self

    def getexif(self) -> dict[int, int]:
        return {0x0112: self._orientation}

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return dict(self._pixels.__array_interface__)


class Broken(PillowLike):
    def convert(self, mode: str) -> PillowLike:  # noqa: ARG002
        raise SyntaxError("broken PNG file")


@pytest.mark.parametrize(
    "one",
    [
        astronaut(),
        ASTRONAUT,
        str(ASTRONAUT),
        ASTRONAUT.read_bytes(),
        io.BytesIO(),
        bytearray(b"x"),
        PillowLike(),
    ],
    ids=["array", "path", "name", "bytes", "open file", "bytearray", "Pillow"],
)
def test_one_picture_for_many_is_a_type_error(analyzer: Analyzer, one: Any) -> None:  # noqa: ANN401
    with pytest.raises(TypeError, match="use analyze_image"):
        analyzer.analyze_images(one)


def test_what_is_no_iterable_is_a_type_error(analyzer: Analyzer) -> None:
    with pytest.raises(TypeError, match="not iterable"):
        analyzer.analyze_images(5)  # type: ignore[arg-type]


def test_a_stack_of_pictures_gives_each_of_them(analyzer: Analyzer) -> None:
    found = list(analyzer.analyze_images(np.stack([astronaut(), astronaut()])))
    assert [len(one) for one in found if isinstance(one, list)] == [1, 1]


@pytest.mark.parametrize("wrong", [None, 5, np.zeros((4, 4), np.float32), "a\0b", io.StringIO("text")])
def test_a_wrong_thing_among_pictures_ends_nothing(analyzer: Analyzer, wrong: Any) -> None:  # noqa: ANN401
    first, between, last = analyzer.analyze_images([ASTRONAUT, wrong, ASTRONAUT])
    assert isinstance(first, list)
    assert isinstance(last, list)
    assert isinstance(between, Unreadable)
    assert len(first) == len(last) == 1


def test_a_wrong_order_of_colours_is_told_at_once(analyzer: Analyzer) -> None:
    with pytest.raises(ValueError, match="expected colour"):
        analyzer.analyze_images([ASTRONAUT], colour="rbg")  # type: ignore[arg-type]


def test_nothing_at_all_is_a_type_error(analyzer: Analyzer) -> None:
    with pytest.raises(TypeError, match=r"expected a picture: .* got NoneType"):
        analyzer.analyze_image(None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "make",
    [
        lambda: bytearray(ASTRONAUT.read_bytes()),
        lambda: memoryview(ASTRONAUT.read_bytes()),
        lambda: io.BytesIO(ASTRONAUT.read_bytes()),
        PillowLike,
        lambda: PillowLike(orientation=6),
        lambda: PillowLike(mode="I;16"),
    ],
    ids=["bytearray", "memoryview", "BytesIO", "Pillow", "Pillow sideways", "Pillow of 16 bits"],
)
def test_files_in_memory_and_images_of_pillow_are_read(analyzer: Analyzer, make: Callable[[], Any]) -> None:
    (result,) = analyzer.analyze_image(make())
    assert result.face.box_xyxy == pytest.approx(ASTRONAUT_BOX_XYXY, abs=8)


def test_an_open_file_is_read(analyzer: Analyzer) -> None:
    with ASTRONAUT.open("rb") as file:
        assert len(analyzer.analyze_image(file)) == 1
    with pytest.raises(Unreadable, match="closed file"):
        analyzer.analyze_image(file)


def test_colours_of_pillow_are_red_first(analyzer: Analyzer) -> None:
    (pillow,) = analyzer.analyze_image(PillowLike())
    (array,) = analyzer.analyze_image(astronaut())
    assert pillow.age_years == array.age_years


def test_an_image_that_pillow_cannot_read_is_unreadable(analyzer: Analyzer) -> None:
    with pytest.raises(Unreadable, match="Pillow cannot read the image: broken PNG file"):
        analyzer.analyze_image(Broken())


@pytest.mark.parametrize("fps", [0, -1, math.nan, math.inf])
def test_a_frame_rate_that_is_none_is_a_value_error(analyzer: Analyzer, fps: float) -> None:
    for call in (analyzer.analyze_video, analyzer.analyze_frames):
        with pytest.raises(ValueError, match="expected fps over 0, or None"):
            call("clip.mp4", fps=fps)


def test_all_pages_of_a_tiff_are_analyzed(analyzer: Analyzer, tmp_path: Path) -> None:
    path = tmp_path / "scan.tif"
    cv2.imwritemulti(str(path), [no_face(), astronaut(), astronaut()])
    for picture in (path, path.read_bytes()):
        assert [one.face.frame.sequence for one in analyzer.analyze_image(picture)] == [1, 2]


_FORKS = """
import os, signal, sys
import age_gender_detection as ag

def many():
    return [len(faces) for faces in ag.analyze_images([sys.argv[1]] * 3)]

own = ag.Analyzer(workers=2)
assert len(own.analyze_image(sys.argv[1])) == 1
assert many() == [1, 1, 1]
child = os.fork()
if not child:
    signal.alarm(60)
    right = many() == [1, 1, 1] and [len(one) for one in own.analyze_images([sys.argv[1]] * 2)] == [1, 1]
    os._exit(7 if right else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert many() == [1, 1, 1]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_analyzes_on_pools_of_its_own(tmp_path: Path) -> None:
    program = tmp_path / "forks.py"
    program.write_text(_FORKS)
    subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", program, ASTRONAUT],
        check=True,
        timeout=100,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
