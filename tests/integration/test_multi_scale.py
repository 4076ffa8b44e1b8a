"""Pictures are searched at three sizes and in four directions, with the real detector."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agegender.services.detect.faces.alignment import cut_chip
from agegender.services.detect.faces.any_way_up import AnyWayUp, turned
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


@pytest.mark.parametrize("side_px", [700, 960, 2_000])
def test_a_close_up_is_one_face(detector: MultiScaleYuNet, side_px: int) -> None:
    head = astronaut()[63:176, 166:279]
    close_up = np.asarray(cv2.resize(head, (side_px, side_px), interpolation=cv2.INTER_CUBIC), np.uint8)
    (face,) = detector.detect(close_up)
    assert face.box_xyxy[3] - face.box_xyxy[1] > 0.8 * side_px


@pytest.mark.parametrize("turn", [cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE])
def test_a_turned_photo_gives_the_same_chip(detector: MultiScaleYuNet, turn: int) -> None:
    any_way_up = AnyWayUp(detector)
    upright = astronaut()
    picture = turned(upright, turn)
    (face,), (expected,) = any_way_up.detect(picture), any_way_up.detect(upright)
    assert face.score == pytest.approx(expected.score)
    chip = cut_chip(picture, face.landmarks_xy).astype(float)
    assert np.abs(chip - cut_chip(upright, expected.landmarks_xy)).mean() < 4
    left, top, right, bottom = (round(side) for side in face.box_xyxy)
    assert picture[top:bottom, left:right].mean() == pytest.approx(
        upright[63:176, 178:268].mean(), rel=0.1
    ), "the box lies on the face of the picture as it is"


def test_a_photo_without_people_is_not_turned(detector: MultiScaleYuNet) -> None:
    assert AnyWayUp(detector).detect(no_face(640, 480)) == []


def test_people_of_an_upright_photo_are_left_as_they_are(detector: MultiScaleYuNet) -> None:
    photo = scene((1_280, 720), 150)
    side_px = round(150 * 512 / 113)
    photo[:side_px, -side_px:] = turned(photo[:side_px, -side_px:], cv2.ROTATE_180)
    expected = [one.box_xyxy for one in detector.detect(photo)]
    assert [one.box_xyxy for one in AnyWayUp(detector).detect(photo)] == expected
