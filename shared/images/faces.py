"""Geometry of an aligned face chip: what `detect` cuts and `classify` reads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHIP_SIDE_PX = 160
"""Side of the square chip that `detect` cuts and `classify` reads."""

CHIP_CONTEXT = 1.5
"""How much more than the landmark template's own square a chip shows; nets crop the part they want."""

LANDMARK_TEMPLATE: NDArray[np.float64] = np.array(
    [
        [0.2967, 0.2935],
        [0.7024, 0.2884],
        [0.4948, 0.5256],
        [0.3238, 0.7032],
        [0.6642, 0.6957],
    ]
)
"""Where the landmarks of an aligned face lie, (5, 2), x then y, as shares of the square at context 1.

Order: eye, eye, nose, mouth corner, mouth corner, each pair from the left of the picture to its right.
The eyes and mouth corners that a detector names by the person's own right and left come in this order too,
because a person's right is the picture's left.
"""


def template_px(side_px: int, context: float) -> NDArray[np.float64]:
    """The landmark template scaled to a square of `side_px` pixels at `context`, (5, 2)."""
    return ((LANDMARK_TEMPLATE - 0.5) / context + 0.5) * side_px
