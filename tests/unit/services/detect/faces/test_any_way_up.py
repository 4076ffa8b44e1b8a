"""Faces of a turned picture are given where they lie in the picture as it was."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agegender.services.detect.faces.any_way_up import turned, turned_back
from agegender.services.detect.faces.yunet import Detection
from agegender.shared.images.pictures import Bgr

MARKS_XY = np.array([[10, 20], [40, 22], [25, 35], [12, 50], [38, 51]])


@pytest.mark.parametrize("turn", [cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE])
def test_boxes_and_landmarks_are_turned_back(turn: int) -> None:
    picture: Bgr = np.zeros((60, 80, 3), np.uint8)
    for number, (x, y) in enumerate(MARKS_XY, start=1):
        picture[y, x] = number
    seen = turned(picture, turn)
    places_yx = [np.argwhere(seen[:, :, 0] == number)[0] for number in range(1, 6)]
    landmarks_xy = np.array([[x, y] for y, x in places_yx])
    low, high = landmarks_xy.min(axis=0), landmarks_xy.max(axis=0)
    box_xyxy = (float(low[0]), float(low[1]), float(high[0]) + 1, float(high[1]) + 1)
    face = Detection(box_xyxy, landmarks_xy, 0.9)
    back = turned_back(face, turn, 80, 60)
    assert back.landmarks_xy == pytest.approx(MARKS_XY)
    assert back.box_xyxy == pytest.approx((10, 20, 41, 52))
    assert back.score == 0.9
