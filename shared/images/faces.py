"""The geometry of chips, which detect cuts and classify reads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CHIP_SIDE_PX = 160
"""The side of a chip, which is a square."""

CHIP_CONTEXT = 1.5
"""The side of a chip in sides of the landmark template's square. Nets crop the part they need."""

LANDMARK_TEMPLATE: NDArray[np.float64] = np.array(
    [
        [0.2967, 0.2935],
        [0.7024, 0.2884],
        [0.4948, 0.5256],
        [0.3238, 0.7032],
        [0.6642, 0.6957],
    ]
)
"""The positions of the landmarks of an aligned face, (5, 2), x then y, as shares of the square at context 1.

The order is: left eye, right eye, nose, left mouth corner, right mouth corner, as seen in the picture.
Detectors that name them by the person's own right and left give the same order, because the person's right is
the picture's left.
"""


def template_px(side_px: int, context: float) -> NDArray[np.float64]:
    """The landmark template scaled to a square of `side_px` pixels at `context`, (5, 2)."""
    return ((LANDMARK_TEMPLATE - 0.5) / context + 0.5) * side_px
