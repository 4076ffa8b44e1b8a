"""Of the detections of two searches, each face is kept once."""

from __future__ import annotations

import numpy as np
import pytest

from agegender.services.detect.faces.multi_scale import without_duplicates
from agegender.services.detect.faces.yunet import Detection
from agegender.shared.messages.pipeline import BoxXyxy


def found(box_xyxy: BoxXyxy, score: float) -> Detection:
    return Detection(box_xyxy, np.zeros((5, 2)), score)


FACE = (100.0, 100.0, 200.0, 220.0)


@pytest.mark.parametrize(
    ("other_xyxy", "is_another"),
    [
        ((102.0, 98.0, 204.0, 221.0), False),  # the same
        ((140.0, 100.0, 240.0, 220.0), False),  # the same, not found well
        ((140.0, 140.0, 180.0, 200.0), False),  # a part
        ((190.0, 100.0, 290.0, 220.0), True),  # a neighbour
        ((170.0, 190.0, 220.0, 250.0), True),  # before the shoulder
        ((600.0, 100.0, 700.0, 220.0), True),
    ],
)
def test_of_detections_in_one_place_the_best_is_kept(other_xyxy: BoxXyxy, is_another: bool) -> None:
    face, other = found(FACE, 0.9), found(other_xyxy, 0.8)
    expected = [face, other] if is_another else [face]
    assert without_duplicates([face, other]) == expected
    assert without_duplicates([other, face]) == expected


def test_a_doubtful_box_around_faces_removes_no_face() -> None:
    faces = [found(FACE, 0.9), found((300.0, 100.0, 400.0, 220.0), 0.8)]
    around = found((0.0, 0.0, 900.0, 700.0), 0.4)
    assert without_duplicates([around, *faces]) == [around, *faces]


def test_nothing_is_nothing() -> None:
    assert without_duplicates([]) == []
