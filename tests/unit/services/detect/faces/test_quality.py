"""The quality of faces, and which of them are not classified."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agegender.services.detect.faces.alignment import cut_chip
from agegender.services.detect.faces.quality import chip_detail, face_quality
from agegender.services.detect.faces.yunet import YuNet
from agegender.shared.images.faces import CHIP_SIDE_PX
from agegender.shared.images.pictures import Bgr
from agegender.shared.images.quality import height_px, why_unclassified
from agegender.shared.messages.pipeline import FaceInfo
from agegender.shared.models import weights
from agegender.simulator.content.scenes import ASTRONAUT
from tests.support.made_messages import face_info

SURE = 0.95


@pytest.fixture(scope="module")
def astronaut() -> Bgr:
    return np.asarray(cv2.imread(str(ASTRONAUT)), np.uint8)


@pytest.fixture(scope="module")
def detector() -> YuNet:
    return YuNet(weights("yunet"))


def _chip(picture_bgr: Bgr, detector: YuNet) -> Bgr:
    (face,) = detector.detect(picture_bgr)
    return cut_chip(picture_bgr, face.landmarks_xy)


def _blurred(picture_bgr: Bgr, pixels: float) -> Bgr:
    return np.asarray(cv2.GaussianBlur(picture_bgr, (0, 0), pixels), np.uint8)


def _quality(picture_bgr: Bgr, detector: YuNet) -> float:
    (face,) = detector.detect(picture_bgr)
    chip_bgr = cut_chip(picture_bgr, face.landmarks_xy)
    return face_quality(chip_bgr, face.box_xyxy[3] - face.box_xyxy[1], face.score)


def test_a_large_sharp_face_is_as_good_as_can_be(astronaut: Bgr, detector: YuNet) -> None:
    assert _quality(astronaut, detector) > 0.8


def test_the_more_a_face_is_blurred_the_worse_it_is(astronaut: Bgr, detector: YuNet) -> None:
    qualities = [_quality(_blurred(astronaut, pixels), detector) for pixels in (0.3, 1.5, 2.5, 4.0)]
    assert qualities == sorted(qualities, reverse=True)
    assert qualities[0] > 0.8
    assert qualities[-1] == 0


def test_the_smaller_a_face_is_the_worse_it_is(astronaut: Bgr, detector: YuNet) -> None:
    chip_bgr = _chip(astronaut, detector)
    qualities = [face_quality(chip_bgr, height, SURE) for height in (96, 64, 48, 32, 24)]
    assert qualities == sorted(set(qualities), reverse=True)
    assert qualities[0] == pytest.approx(face_quality(chip_bgr, 500, SURE))
    assert qualities[-1] == pytest.approx(0.1)
    assert face_quality(chip_bgr, 23.9, SURE) == 0


def test_a_doubtful_face_has_lower_quality_but_not_zero(astronaut: Bgr, detector: YuNet) -> None:
    chip_bgr = _chip(astronaut, detector)
    qualities = [face_quality(chip_bgr, 200, score) for score in (0.93, 0.9, 0.87, 0.84, 0.7)]
    assert qualities == sorted(set(qualities), reverse=True)
    assert qualities[-1] == pytest.approx(0.1)


def test_light_and_contrast_hardly_count(astronaut: Bgr, detector: YuNet) -> None:
    chip_bgr = _chip(astronaut, detector)
    dim = np.asarray(cv2.convertScaleAbs(chip_bgr, alpha=0.5, beta=20), np.uint8)
    assert chip_detail(dim) == pytest.approx(chip_detail(chip_bgr), abs=0.2)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_chip_without_anything_in_it_is_unusable(level: int) -> None:
    flat = np.full((CHIP_SIDE_PX, CHIP_SIDE_PX, 3), level, np.uint8)
    assert np.isfinite(chip_detail(flat))
    assert face_quality(flat, 200, SURE) == 0


def test_noise_counts_as_structure_and_stays_within_bounds() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (CHIP_SIDE_PX, CHIP_SIDE_PX, 3), np.uint8)
    assert face_quality(noise, 200, SURE) == 1


def _face(height: float, quality: float | None) -> FaceInfo:
    return face_info().model_copy(update={"box_xyxy": (10.0, 20.0, 50.0, 20.0 + height), "quality": quality})


@pytest.mark.parametrize(
    ("height", "quality", "why"),
    [
        (24.0, 0.1, None),
        (23.9, 0.9, "too-small"),
        (23.9, 0.0, "too-small"),
        (200.0, 0.0, "too-blurred"),
        (200.0, 0.001, None),
        (200.0, None, None),
        (10.0, None, "too-small"),
    ],
)
def test_too_small_or_blurred_faces_are_not_classified(
    height: float, quality: float | None, why: str | None
) -> None:
    assert why_unclassified(_face(height, quality)) == why


def test_the_height_of_a_face_is_that_of_its_box() -> None:
    assert height_px(_face(31.5, None)) == 31.5
