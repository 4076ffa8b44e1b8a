"""How far a face is turned, and how much that counts."""

from __future__ import annotations

import numpy as np
import pytest

from agegender.shared.images.pose import facing, turn
from agegender.shared.messages.pipeline import PointXy


def _landmarks(nose_x: float, *, tilt_degrees: float = 0.0, scale: float = 1.0) -> list[PointXy]:
    """Eyes 40 pixels apart, the mouth 40 below; the nose in the middle is at 0."""
    points = np.array([(-20, 0), (20, 0), (nose_x, 22), (-15, 40), (15, 40)], np.float64)
    angle = np.deg2rad(tilt_degrees)
    turned = points @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) * scale
    return [(float(x) + 100, float(y) + 50) for x, y in turned]


@pytest.mark.parametrize("tilt_degrees", [0, 30, -90, 180])
@pytest.mark.parametrize("scale", [0.5, 3.0])
def test_turn_is_the_distance_of_the_nose_from_the_middle(tilt_degrees: float, scale: float) -> None:
    for nose_x, expected in ((0, 0.0), (20, 0.5), (-20, 0.5), (40, 1.0)):
        landmarks = _landmarks(nose_x, tilt_degrees=tilt_degrees, scale=scale)
        assert turn(landmarks) == pytest.approx(expected)


def test_a_frontal_face_counts_fully_and_a_profile_half() -> None:
    assert facing(_landmarks(0)) == facing(_landmarks(16)) == 1.0
    assert facing(_landmarks(26)) == pytest.approx(0.75)
    assert facing(_landmarks(36)) == facing(_landmarks(400)) == 0.5


def test_landmarks_on_one_point_are_turned_away() -> None:
    assert facing([(5.0, 5.0)] * 5) == 0.5
