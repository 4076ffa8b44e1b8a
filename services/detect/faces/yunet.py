"""Face detection with YuNet, through LiteRT."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agegender.services.detect.faces.decoding import COARSEST_CELL_PX, Floats, decode
from agegender.shared.images.pictures import Bgr, shrink
from agegender.shared.models.litert import open_net

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

KEPT_PIXELS = 3 * 960 * 544
"""Of all sizes for which a detector keeps the net open. A net takes about 70 bytes for each pixel."""

SURE_FACE_PX = 24
"""The height from which on YuNet finds nearly all faces, in pixels of the searched picture."""

LEAST_SIDE_PX = 160

SizeHw = tuple[int, int]


@dataclass(frozen=True)
class Detection:
    """One face, in pixels of the searched picture."""

    box_xyxy: tuple[float, float, float, float]
    landmarks_xy: NDArray[np.float64]
    """(5, 2), in the order of `agegender.shared.images.faces.LANDMARK_TEMPLATE`."""
    score: float


class YuNet:
    """Finds the faces of one picture at a time. Serves one thread at a time.

    Args:
        weights: the file of LiteRT.
        longer_side_px: larger pictures are shrunk to this for the search. In a picture of 1280 px, 960 loses
            faces under 20 px; 640 takes half the time and loses faces under 32 px.
        min_score: detections with a lower score are left out.

    Raises:
        ValueError: the file is not a net.
    """

    def __init__(self, weights: Path, longer_side_px: int = 960, min_score: float = 0.7) -> None:
        self._longer_side_px = longer_side_px
        self._min_score = min_score
        self._nets = NetBySize(weights, KEPT_PIXELS)

    def detect(self, picture_bgr: Bgr, smallest_face_px: int | None = None) -> Sequence[Detection]:
        """The faces of the picture, from left to right; empty when there is none.

        Args:
            smallest_face_px: the height of the smallest face that matters. If it is still sure to be found in
                a smaller picture, that is searched. None: `longer_side_px` is searched.
        """
        searched = shrink(
            picture_bgr, self._side_px(max(picture_bgr.shape[:2]), smallest_face_px), quick=True
        )
        height_px, width_px = searched.shape[:2]
        padded_hw = _padded(height_px), _padded(width_px)
        grids = _run(self._nets.of(padded_hw), searched)
        rows = decode(grids, padded_hw[0], self._min_score).astype(np.float64)
        scale_xy = np.array([picture_bgr.shape[1] / width_px, picture_bgr.shape[0] / height_px])
        return sorted(
            (_detection(row, scale_xy) for row in rows), key=lambda d: (d.box_xyxy[0], d.box_xyxy[1])
        )

    def _side_px(self, picture_side_px: int, smallest_face_px: int | None) -> int:
        if smallest_face_px is None:
            return self._longer_side_px
        enough_px = max(LEAST_SIDE_PX, round(picture_side_px * SURE_FACE_PX / smallest_face_px))
        return min(self._longer_side_px, enough_px)


class NetBySize:
    """The net, open for each of the last sizes of pictures.

    To open it for another size takes about as long as a search, and cameras of two sizes may take turns.

    Args:
        weights: the file of LiteRT.
        kept_pixels: the sizes together have at most so many pixels. One size may have more.
    """

    def __init__(self, weights: Path, kept_pixels: int) -> None:
        self._weights = weights
        self._kept_pixels = kept_pixels
        self._nets: OrderedDict[SizeHw, Interpreter] = OrderedDict()
        # A damaged file or a missing package shows at the start, and not with the first picture.
        self.of((COARSEST_CELL_PX, COARSEST_CELL_PX))

    def of(self, size_hw: SizeHw) -> Interpreter:
        """The net for pictures of this height and width, both multiples of COARSEST_CELL_PX."""
        net = self._nets.pop(size_hw, None)
        while self._nets and _pixels(size_hw) + sum(map(_pixels, self._nets)) > self._kept_pixels:
            self._nets.popitem(last=False)
        if net is None:
            net = open_net(self._weights, input_shape=(1, *size_hw, 3))
        self._nets[size_hw] = net
        return net


def _pixels(size_hw: SizeHw) -> int:
    return size_hw[0] * size_hw[1]


def _padded(side_px: int) -> int:
    return -(-side_px // COARSEST_CELL_PX) * COARSEST_CELL_PX


def _run(net: Interpreter, picture_bgr: Bgr) -> list[Floats]:
    """The three grids of YuNet, (rows, columns, 16), for a picture that fits into the input of `net`."""
    _fill(net, picture_bgr)
    net.invoke()
    return [net.get_tensor(grid["index"])[0] for grid in net.get_output_details()]


def _fill(net: Interpreter, picture_bgr: Bgr) -> None:
    """Writes the picture into the input of `net`, with black to the right of it and below."""
    height_px, width_px = picture_bgr.shape[:2]
    # A view of LiteRT's own memory. It must be gone when the net runs.
    (pixels,) = net.tensor(net.get_input_details()[0]["index"])()
    pixels[:height_px, :width_px] = picture_bgr
    pixels[height_px:] = 0
    pixels[:height_px, width_px:] = 0


def _detection(row: NDArray[np.float64], scale_xy: NDArray[np.float64]) -> Detection:
    left, top = row[:2] * scale_xy
    width_px, height_px = row[2:4] * scale_xy
    return Detection(
        box_xyxy=(float(left), float(top), float(left + width_px), float(top + height_px)),
        landmarks_xy=row[4:14].reshape(5, 2) * scale_xy,
        score=float(row[14]),
    )
