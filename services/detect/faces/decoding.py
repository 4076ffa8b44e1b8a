"""Turns the outputs of YuNet into boxes, landmarks and scores.

YuNet looks at a picture in three grids, with cells of 8, 16 and 32 pixels. Each cell may hold one face, and
says so in 16 numbers:

- two logits: that here is a face, and that here is an object; the score is the geometric mean of the two
  probabilities,
- the centre of the box, x and y from the corner of the cell, and the natural logarithms of its width and
  height, all in cells,
- five landmarks, x and y from the corner of the cell, in cells.

The form is that of W. Wu, H. Peng, S. Yu, "YuNet: a tiny millisecond-level face detector", Machine
Intelligence Research 20, 2023, as OpenCV's `FaceDetectorYN` reads it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

COARSEST_CELL_PX = 32
"""The sides of the searched picture are multiples of this."""

COLUMNS = 15
"""Of a face: left, top, width, height, x and y of five landmarks, score. The person's right eye and right
mouth corner come first. They lie left in the picture, as in the landmark template."""

_SAME_SHARE = 0.3
_MOST_FACES = 5_000


def decode(grids: Sequence[Floats], picture_height_px: int, least_score: float) -> Floats:
    """The faces of a picture, (N, COLUMNS), in pixels of the searched picture, the best first.

    Of boxes that overlap by more than 0.3 of their union, the best is kept (non-maximum suppression).

    Args:
        grids: the outputs of the net, (rows, columns, 16) each.
        picture_height_px: of the searched picture.
        least_score: faces with a lower score are left out.
    """
    found = np.concatenate([_faces(grid, picture_height_px // len(grid), least_score) for grid in grids])
    # OpenCV compares boxes of whole pixels. Small faces side by side depend on it.
    kept = cv2.dnn.NMSBoxes(
        np.trunc(found[:, :4]).tolist(),
        found[:, -1].tolist(),
        score_threshold=0.0,
        nms_threshold=_SAME_SHARE,
        top_k=_MOST_FACES,
    )
    return found[np.asarray(kept, np.intp)]


def _faces(grid: Floats, cell_px: int, least_score: float) -> Floats:
    """The faces of one grid, (N, COLUMNS), in the order of its cells."""
    # The logistic function by way of tanh, because exp would overflow.
    probabilities = 0.5 + 0.5 * np.tanh(0.5 * grid[..., :2])
    scores = np.sqrt(probabilities[..., 0] * probabilities[..., 1])
    rows, columns = np.nonzero(scores >= least_score)
    corners_xy = np.stack([columns, rows], axis=1).astype(np.float32)
    cells = grid[rows, columns]
    sizes_wh = np.exp(cells[:, 4:6])
    left_top = corners_xy + cells[:, 2:4] - sizes_wh / 2
    landmarks_xy = np.tile(corners_xy, 5) + cells[:, 6:]
    in_cells = np.concatenate([left_top, sizes_wh, landmarks_xy], axis=1)
    return np.concatenate([in_cells * np.float32(cell_px), scores[rows, columns, np.newaxis]], axis=1)
