"""Pose: how far a face is turned away from the camera, from its landmarks. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from agegender.shared.messages.pipeline import PointXy

_LITTLE_TURN, _FAR_TURN, _PROFILE = 0.4, 0.9, 0.5


def turn(landmarks_xy: Sequence[PointXy]) -> float:
    """How far a face is turned away: 0 from the front, more than 1 near a profile.

    This is the distance of the nose from the middle line of the face, in distances of the eyes. The middle
    line runs from between the eyes to between the corners of the mouth. Tilting the head towards a shoulder
    does not change it, nor does the size of the face.

    Args:
        landmarks_xy: in the order of `faces.LANDMARK_TEMPLATE`.
    """
    left_eye, right_eye, nose, *mouth = np.asarray(landmarks_xy, np.float64)
    eyes, lips = (left_eye + right_eye) / 2, (mouth[0] + mouth[1]) / 2
    down_x, down_y = lips - eyes
    beside = abs(np.array([-down_y, down_x]) @ (nose - (eyes + lips) / 2))
    apart = float(np.hypot(*(right_eye - left_eye)) * np.hypot(down_x, down_y))
    return float(beside) / apart if apart > 0 else math.inf


def facing(landmarks_xy: Sequence[PointXy]) -> float:
    """How much a face looks at the camera: 1 from the front, `_PROFILE` when it is turned far away.

    At equal quality, the errors for faces that are turned far away are up to twice as large; docs/models.md
    has the measurements. So the faces of a track that look at the camera are classified first.
    """
    far = (turn(landmarks_xy) - _LITTLE_TURN) / (_FAR_TURN - _LITTLE_TURN)
    return 1.0 - (1.0 - _PROFILE) * min(max(far, 0.0), 1.0)
