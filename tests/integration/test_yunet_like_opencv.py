"""Our own search with YuNet finds what OpenCV finds with the published file."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agegender.services.detect.faces.yunet import YuNet
from agegender.shared.images.pictures import Bgr
from agegender.shared.models import weights
from agegender.simulator.content.samples import Samples
from tests.support.availability import ServerUnavailableError, skip_or_fail
from tests.support.faces import astronaut, fetched_samples, half_hidden, no_face, portraits
from tests.support.published_yunet import OpenCVYuNet, published_yunet

SIDE_PX, MIN_SCORE = 640, 0.3
SIZES_WH = ((640, 360), (1280, 720), (400, 600), (641, 377), (95, 64))


@pytest.fixture(scope="module")
def opencv() -> OpenCVYuNet:
    try:
        return OpenCVYuNet(published_yunet(), SIDE_PX, MIN_SCORE)
    except ServerUnavailableError as error:
        skip_or_fail(error)


@pytest.fixture(scope="module")
def own() -> YuNet:
    return YuNet(weights("yunet"), SIDE_PX, MIN_SCORE)


@pytest.fixture(scope="module")
def samples() -> Samples:
    return fetched_samples()


def resized(picture: Bgr, size_wh: tuple[int, int]) -> Bgr:
    return np.asarray(cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def assert_same(picture: Bgr, own: YuNet, opencv: OpenCVYuNet) -> int:
    """Fails unless both find the same faces; returns how many."""
    expected = sorted(opencv.detect(picture), key=lambda face: (face[0], face[1]))
    found = [np.r_[one.box_xyxy, one.landmarks_xy.ravel(), one.score] for one in own.detect(picture)]
    assert len(found) == len(expected)
    if found:
        np.testing.assert_allclose(found, expected, atol=0.002)
        np.testing.assert_allclose([one[-1] for one in found], [one[-1] for one in expected], atol=1e-5)
    return len(found)


@pytest.mark.parametrize("size_wh", SIZES_WH)
def test_boxes_landmarks_and_scores_are_those_of_opencv(
    samples: Samples, own: YuNet, opencv: OpenCVYuNet, size_wh: tuple[int, int]
) -> None:
    many = np.asarray(cv2.imread(str(samples.multi_face)), np.uint8)
    pictures = [many, *(np.roll(many, shift, axis=1) for shift in (37, 180)), many[:, ::-1]]
    faces = [assert_same(resized(one, size_wh), own, opencv) for one in pictures]
    assert sum(faces) >= (12 if size_wh[0] > 95 else 0)


@pytest.mark.parametrize("picture", [astronaut(), half_hidden(), portraits(3), no_face(), no_face(31, 33)])
def test_single_and_missing_faces_are_those_of_opencv(picture: Bgr, own: YuNet, opencv: OpenCVYuNet) -> None:
    assert_same(picture, own, opencv)


def test_small_faces_side_by_side_are_those_of_opencv(own: YuNet, opencv: OpenCVYuNet) -> None:
    face = resized(astronaut()[40:200, 150:300], (22, 24))
    assert assert_same(np.tile(face, (15, 25, 1)), own, opencv) > 50
