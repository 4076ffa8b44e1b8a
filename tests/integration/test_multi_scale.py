"""Large pictures are searched at two sizes, with the real detector."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agegender.services.detect.faces.multi_scale import MultiScaleYuNet
from agegender.shared.images.pictures import Bgr
from agegender.shared.models import weights
from tests.support.faces import astronaut, no_face


@pytest.fixture(scope="module")
def detector() -> MultiScaleYuNet:
    return MultiScaleYuNet(weights("yunet"), 960, 1920, 0.7)


def scene(size_wh: tuple[int, int], face_px: int) -> Bgr:
    """A face at the left, one at the right."""
    picture = no_face(*size_wh)
    side_px = round(face_px * 512 / 113)
    portrait = cv2.resize(astronaut(), (side_px, side_px), interpolation=cv2.INTER_AREA)
    for left_px in (0, size_wh[0] - side_px):
        picture[:side_px, left_px : left_px + side_px] = portrait
    return picture


def test_small_faces_are_found_once_each_and_at_their_place(detector: MultiScaleYuNet) -> None:
    left, right = detector.detect(scene((6_000, 4_000), 80))
    heights_px = [one.box_xyxy[3] - one.box_xyxy[1] for one in (left, right)]
    assert heights_px == pytest.approx([80, 80], abs=12)
    assert right.box_xyxy[0] - left.box_xyxy[0] == pytest.approx(6_000 - 362, abs=6)


def test_a_face_that_two_searches_find_is_one(detector: MultiScaleYuNet) -> None:
    assert len(detector.detect(scene((4_000, 3_000), 300))) == 2


def test_a_face_that_fills_the_picture_is_found(detector: MultiScaleYuNet) -> None:
    head = astronaut()[40:210, 130:320]
    (face,) = detector.detect(np.asarray(cv2.resize(head, (2_682, 2_400)), np.uint8))
    assert face.box_xyxy[3] - face.box_xyxy[1] > 1_400


def test_a_picture_that_is_hardly_larger_is_searched_once(
    detector: MultiScaleYuNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(detector, "_fine")
    assert len(detector.detect(scene((1_280, 720), 100))) == 2
