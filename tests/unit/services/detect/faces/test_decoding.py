"""The outputs of YuNet become boxes, landmarks and scores."""

from __future__ import annotations

import numpy as np
import pytest

from agegender.services.detect.faces.decoding import COLUMNS, Floats, decode

SURE, NEVER = 20.0, -200.0
CELLS = (8, 16, 32)


def grids(height_px: int = 64, width_px: int = 96) -> list[Floats]:
    """The outputs for a picture without any face."""
    empty = [np.zeros((height_px // cell, width_px // cell, 16), np.float32) for cell in CELLS]
    for grid in empty:
        grid[..., :2] = NEVER
    return empty


def put(grid: Floats, row: int, column: int, logits: tuple[float, float] = (SURE, SURE)) -> None:
    """A face of 2 x 3 cells with its centre in the middle of a cell, and all landmarks there."""
    grid[row, column, :2] = logits
    grid[row, column, 2:4] = 0.5
    grid[row, column, 4:6] = np.log([2, 3])
    grid[row, column, 6:] = 0.5


@pytest.mark.parametrize(("level", "cell_px"), list(enumerate(CELLS)))
def test_a_face_is_measured_in_cells_of_its_grid(level: int, cell_px: int) -> None:
    made = grids()
    put(made[level], 1, 2)
    (face,) = decode(made, 64, 0.5)
    assert face.shape == (COLUMNS,)
    assert face[:4] == pytest.approx(np.array([1.5, 0, 2, 3]) * cell_px, abs=1e-4)
    assert face[4:14] == pytest.approx(np.tile([2.5, 1.5], 5) * cell_px, abs=1e-4)
    assert face[14] == pytest.approx(1)


def test_a_picture_without_a_face_gives_no_rows() -> None:
    assert decode(grids(), 64, 0.5).shape == (0, COLUMNS)


@pytest.mark.parametrize(("logits", "score"), [((0, 0), 0.5), ((0, SURE), 0.5**0.5), ((2, -1), 0.4867)])
def test_the_score_is_the_mean_of_two_probabilities(logits: tuple[float, float], score: float) -> None:
    made = grids()
    put(made[0], 3, 3, logits)
    assert decode(made, 64, 0.1)[0, 14] == pytest.approx(score, abs=1e-4)
    assert len(decode(made, 64, score - 0.001)) == 1
    assert len(decode(made, 64, score + 0.001)) == 0


def test_of_boxes_in_one_place_the_surest_is_kept() -> None:
    made = grids()
    put(made[0], 3, 5, (1, 1))
    put(made[0], 3, 6, (3, 3))
    put(made[0], 3, 10, (2, 2))
    assert [round(float(face[0] / 8), 2) for face in decode(made, 64, 0.5)] == [5.5, 9.5]


def test_the_best_face_comes_first() -> None:
    made = grids()
    put(made[2], 0, 0, (1, 1))
    put(made[0], 6, 10, (4, 4))
    scores = decode(made, 64, 0.5)[:, 14]
    assert len(scores) == 2
    assert scores[0] > scores[1]
