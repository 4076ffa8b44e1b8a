"""A chip shows the face at the same place for every size and rotation in the picture."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from agegender.services.detect.faces.alignment import cut_chip, similarity
from agegender.services.detect.faces.yunet import YuNet
from agegender.shared.images.faces import CHIP_CONTEXT, CHIP_SIDE_PX, LANDMARK_TEMPLATE, template_px
from agegender.shared.images.pictures import Bgr
from agegender.shared.models import weights
from agegender.simulator.content.scenes import ASTRONAUT

Points = NDArray[np.float64]
CENTRE_XY = (220.0, 120.0)
TEMPLATE = template_px(CHIP_SIDE_PX, CHIP_CONTEXT)


@pytest.fixture(scope="module")
def astronaut() -> Bgr:
    return np.asarray(cv2.imread(str(ASTRONAUT)), np.uint8)


@pytest.fixture(scope="module")
def detector() -> YuNet:
    return YuNet(weights("yunet"))


@pytest.fixture(scope="module")
def landmarks_xy(astronaut: Bgr, detector: YuNet) -> Points:
    (face,) = detector.detect(astronaut)
    return face.landmarks_xy


def moved(points_xy: Points, matrix: Points) -> Points:
    """`points_xy`, (N, 2), after the transform `matrix`, (2, 3)."""
    return points_xy @ matrix[:, :2].T + matrix[:, 2]


def _matrix(degrees: float, scale: float = 1.0) -> Points:
    return np.asarray(cv2.getRotationMatrix2D(CENTRE_XY, degrees, scale), np.float64)


def turned(picture_bgr: Bgr, scale: float, degrees: float) -> tuple[Bgr, Points]:
    """The picture turned about the face and scaled, and the transform of its points."""
    turn = np.vstack([_matrix(degrees), [0, 0, 1]])
    half = (scale - 1) / 2  # pixel centres have coordinates of .5
    matrix = np.array([[scale, 0, half], [0, scale, half]]) @ turn
    size_wh = (round(picture_bgr.shape[1] * scale), round(picture_bgr.shape[0] * scale))
    how = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    return np.asarray(cv2.warpAffine(picture_bgr, matrix, size_wh, flags=how), np.uint8), matrix


@given(st.floats(-math.pi, math.pi), st.floats(0.01, 100), st.floats(-5e3, 5e3), st.floats(-5e3, 5e3))
def test_a_known_rotation_scale_and_shift_is_recovered(
    angle: float, scale: float, shift_x: float, shift_y: float
) -> None:
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    known = np.array([[cos, -sin, shift_x], [sin, cos, shift_y]])
    found = similarity(LANDMARK_TEMPLATE, moved(LANDMARK_TEMPLATE, known))
    np.testing.assert_allclose(found, known, atol=1e-8 * max(1.0, scale, abs(shift_x), abs(shift_y)))


@given(st.integers(0, 10_000))
def test_no_other_similarity_comes_closer(seed: int) -> None:
    rng = np.random.default_rng(seed)
    source, target = rng.normal(size=(2, 5, 2))
    best = similarity(source, target)
    least = np.sum((moved(source, best) - target) ** 2)
    for nudge in rng.normal(scale=0.01, size=(10, 4)):
        a, b, x, y = np.array([best[0, 0], best[1, 0], best[0, 2], best[1, 2]]) + nudge
        other = np.array([[a, -b, x], [b, a, y]])
        assert np.sum((moved(source, other) - target) ** 2) >= least


def test_a_point_of_more_weight_is_hit_more_closely() -> None:
    source, target = np.random.default_rng(4).normal(size=(2, 5, 2))
    misses = []
    for weight in (0.0, 0.25, 1.0, 4.0, 1e6):
        found = similarity(source, target, np.array([1, 1, weight, 1, 1]))
        misses.append(float(np.hypot(*(moved(source, found) - target)[2])))
    assert misses == sorted(misses, reverse=True)
    assert misses[-1] < 1e-3


def test_equal_weights_are_no_weights() -> None:
    source, target = np.random.default_rng(5).normal(size=(2, 5, 2))
    np.testing.assert_allclose(similarity(source, target, np.full(5, 3.0)), similarity(source, target))


def test_a_nose_that_wanders_hardly_moves_the_chip(astronaut: Bgr, landmarks_xy: Points) -> None:
    turned_away = landmarks_xy + np.array([[0, 0], [0, 0], [8, 0], [0, 0], [0, 0]])
    eye_turned = landmarks_xy + np.array([[8, 0], [0, 0], [0, 0], [0, 0], [0, 0]])
    still, nose, eye = (
        cut_chip(astronaut, one).astype(int) for one in (landmarks_xy, turned_away, eye_turned)
    )
    assert np.abs(nose - still).mean() < np.abs(eye - still).mean() / 2


def test_a_mirrored_face_is_turned_and_never_mirrored_back() -> None:
    found = similarity(LANDMARK_TEMPLATE * [-1, 1], LANDMARK_TEMPLATE)
    assert np.linalg.det(found[:, :2]) > 0


def test_landmarks_on_one_point_cannot_be_aligned() -> None:
    with pytest.raises(ValueError, match="got all on one point"):
        similarity(np.full((5, 2), 7.0), LANDMARK_TEMPLATE)


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.5, 8.0])
@pytest.mark.parametrize("degrees", [0, 33, 180])
def test_landmarks_land_on_the_template(scale: float, degrees: float) -> None:
    points_xy = moved(LANDMARK_TEMPLATE * 100, _matrix(degrees, scale))
    points_xy -= points_xy.min(axis=0) - 60 * scale
    width_px, height_px = (np.ceil(points_xy.max(axis=0)) + 60 * scale).astype(int)
    for point_xy, wanted_xy in zip(points_xy, TEMPLATE, strict=True):
        # A picture with one soft spot: the centre of its light is its position, to a part of a pixel.
        spread = 4 * scale
        x = np.exp(-((np.arange(width_px) - point_xy[0]) ** 2) / (2 * spread**2))
        y = np.exp(-((np.arange(height_px) - point_xy[1]) ** 2) / (2 * spread**2))
        light = (250 * np.outer(y, x)).astype(np.uint8)
        chip = cut_chip(np.asarray(cv2.cvtColor(light, cv2.COLOR_GRAY2BGR), np.uint8), points_xy)[
            ..., 0
        ].astype(float)
        chip[chip < 20] = 0
        rows, columns = np.mgrid[:CHIP_SIDE_PX, :CHIP_SIDE_PX]
        found_xy = np.array([np.sum(chip * columns), np.sum(chip * rows)]) / np.sum(chip)
        np.testing.assert_allclose(found_xy, wanted_xy, atol=0.25)


@pytest.mark.parametrize("scale", [0.7, 1.0, 1.7, 4.0])
@pytest.mark.parametrize("degrees", [-40, 0, 15, 90])
def test_the_chip_is_the_same_at_every_scale_and_rotation(
    astronaut: Bgr, landmarks_xy: Points, scale: float, degrees: float
) -> None:
    picture_bgr, matrix = turned(astronaut, scale, degrees)
    chip = cut_chip(picture_bgr, moved(landmarks_xy, matrix))
    difference = np.abs(chip.astype(int) - cut_chip(astronaut, landmarks_xy))
    assert difference.mean() < 3.0, "of 255 levels; a shift by one pixel is more than twice that"


def test_that_measure_sees_a_shift_of_one_pixel(astronaut: Bgr, landmarks_xy: Points) -> None:
    chip = cut_chip(astronaut, landmarks_xy).astype(int)
    assert np.abs(chip[:, 1:] - chip[:, :-1]).mean() > 6.0


@pytest.mark.parametrize(("scale", "degrees"), [(0.7, 0), (1.5, 0), (3.0, -15), (3.0, 15), (4.0, 15)])
def test_a_face_that_is_found_again_is_cut_much_the_same(
    astronaut: Bgr, landmarks_xy: Points, detector: YuNet, scale: float, degrees: float
) -> None:
    picture_bgr, matrix = turned(astronaut, scale, degrees)
    (face,) = detector.detect(picture_bgr)
    back_xy = moved(face.landmarks_xy, np.asarray(cv2.invertAffineTransform(matrix), np.float64))
    on_chip_xy = moved(back_xy, similarity(landmarks_xy, TEMPLATE))
    assert np.abs(moved(on_chip_xy, similarity(on_chip_xy, TEMPLATE)) - on_chip_xy).max() < 8


@pytest.mark.parametrize("scale", [1.0, 6.0])
def test_beyond_the_picture_its_edge_is_repeated(scale: float) -> None:
    grey = np.full((round(100 * scale), round(100 * scale), 3), 120, np.uint8)
    for corner_xy in ((-60, -60), (60, 60), (-500, 30)):
        chip = cut_chip(grey, (LANDMARK_TEMPLATE * 100 + corner_xy) * scale)
        assert chip.shape == (CHIP_SIDE_PX, CHIP_SIDE_PX, 3)
        assert chip.dtype == np.uint8
        assert np.all(chip == 120)


def test_a_large_face_is_averaged_and_not_sampled() -> None:
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, (2_000, 2_000, 3), np.uint8)
    chip = cut_chip(noise, LANDMARK_TEMPLATE * 1_900 + 50)
    assert abs(chip.mean() - 127.5) < 3
    assert chip.std() < 20, "the noise itself has 74"


def test_neither_picture_nor_landmarks_are_changed(astronaut: Bgr, landmarks_xy: Points) -> None:
    picture_bgr, points_xy = astronaut.copy(), landmarks_xy.copy()
    cut_chip(picture_bgr, points_xy)
    cut_chip(picture_bgr, points_xy * 0.1)
    assert np.array_equal(picture_bgr, astronaut)
    assert np.array_equal(points_xy, landmarks_xy)
