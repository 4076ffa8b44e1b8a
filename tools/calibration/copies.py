"""Smaller and blurred copies of labelled pictures, such as cameras on a street show faces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from agegender.commands.evaluate.classify import FaceFinder, read_picture
from agegender.commands.evaluate.dataset import Label
from agegender.shared.images.pictures import Bgr, UnreadablePicture
from agegender.shared.images.quality import height_px

_SMALLEST_PICTURE_PX = 320
_GREY = (110, 110, 110)


class Copy(NamedTuple):
    """How a copy differs from its picture."""

    face_px: float | None
    """The height of the face; None as it is."""
    blur: float
    """The deviation of the blur, as a share of the height of the face."""


def copies(finder: FaceFinder, label: Label, wanted: Sequence[Copy]) -> Iterator[tuple[int, Bgr]]:
    """The copies of the picture of `label` by their numbers, those larger than the picture left out.

    There are none where no face is found.
    """
    picture = read_picture(label.path)
    face = finder.middle_face(picture, label.path)
    if isinstance(picture, UnreadablePicture) or face is None or isinstance(face, str):
        return
    found_px = (
        height_px(face.info)
        * max(picture.shape[:2])
        / max(face.info.frame.width_px, face.info.frame.height_px)
    )
    for number, (wanted_px, blur) in enumerate(wanted):
        if wanted_px is None:
            yield number, picture
        elif wanted_px < found_px:
            yield number, _worse(picture, wanted_px / found_px, blur * wanted_px)


def _worse(picture_bgr: Bgr, scale: float, blur_px: float) -> Bgr:
    """The picture, smaller and blurred, in the middle of a grey one as large as detectors are used to."""
    smaller = cv2.resize(picture_bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    if blur_px:
        smaller = cv2.GaussianBlur(smaller, (0, 0), blur_px)
    rows, columns = (max(0, (_SMALLEST_PICTURE_PX - side) // 2) for side in smaller.shape[:2])
    framed = cv2.copyMakeBorder(smaller, rows, rows, columns, columns, cv2.BORDER_CONSTANT, value=_GREY)
    return np.asarray(framed, np.uint8)
