"""YuNet reads pictures of every size, and keeps few nets open."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from agegender.services.detect.faces.yunet import NetBySize, YuNet
from agegender.shared.images.pictures import Bgr
from agegender.shared.models import weights
from tests.support.faces import ASTRONAUT_BOX_XYXY, astronaut


@pytest.fixture(scope="module")
def detector() -> YuNet:
    return YuNet(weights("yunet"), 320)


def framed(width_px: int, height_px: int) -> Bgr:
    """The portrait at the top left of a grey picture."""
    picture = np.full((height_px, width_px, 3), 127, np.uint8)
    side_px = min(width_px, height_px)
    picture[:side_px, :side_px] = cv2.resize(astronaut(), (side_px, side_px), interpolation=cv2.INTER_AREA)
    return picture


@pytest.mark.parametrize("size_wh", [(512, 512), (640, 360), (333, 500), (200, 160), (161, 163)])
def test_a_face_is_found_in_pictures_of_every_shape(detector: YuNet, size_wh: tuple[int, int]) -> None:
    (face,) = detector.detect(framed(*size_wh))
    scale = min(size_wh) / 512
    assert face.box_xyxy == pytest.approx(np.multiply(ASTRONAUT_BOX_XYXY, scale), abs=12 * scale)
    assert 0.7 <= face.score <= 1


@pytest.mark.parametrize(("smallest_px", "found"), [(None, 2), (20, 2), (60, 1), (1_000, 1)])
def test_faces_smaller_than_asked_for_may_be_missed(smallest_px: int | None, found: int) -> None:
    picture = framed(640, 360)
    picture[:100, 500:600] = cv2.resize(astronaut(), (100, 100), interpolation=cv2.INTER_AREA)
    assert len(YuNet(weights("yunet"), 640).detect(picture, smallest_px)) == found


@pytest.mark.parametrize("size_wh", [(1, 1), (1, 500), (500, 1), (2000, 3)])
def test_the_smallest_pictures_hold_no_face(detector: YuNet, size_wh: tuple[int, int]) -> None:
    assert detector.detect(np.zeros((size_wh[1], size_wh[0], 3), np.uint8)) == []


def test_a_picture_leaves_nothing_to_the_next_smaller_one(detector: YuNet) -> None:
    small = framed(300, 200)
    before = detector.detect(small)
    detector.detect(np.full((224, 320, 3), 255, np.uint8))
    (again,) = detector.detect(small)
    assert again.box_xyxy == before[0].box_xyxy


def test_the_net_stays_open_for_the_last_sizes() -> None:
    nets = NetBySize(weights("yunet"), 4 * 320 * 64)
    small, large = nets.of((64, 320)), nets.of((96, 320))
    assert small.get_input_details()[0]["shape"].tolist() == [1, 64, 320, 3]
    assert nets.of((64, 320)) is small
    assert nets.of((96, 320)) is large
    nets.of((128, 320))  # leaves room for the one that was used last
    assert nets.of((96, 320)) is large
    assert nets.of((64, 320)) is not small


def test_one_size_may_have_more_pixels_than_are_kept() -> None:
    nets = NetBySize(weights("yunet"), 320)
    assert nets.of((64, 320)) is nets.of((64, 320))


def test_a_file_that_is_no_net_is_refused_at_once(tmp_path: Path) -> None:
    broken = tmp_path / "broken.tflite"
    broken.write_bytes(b"no net")
    with pytest.raises(ValueError, match="Flatbuffer"):
        YuNet(broken)
