"""Motion detection: a frame that shows what a searched frame showed is not searched again. Pure.

Two frames are compared at an eighth of their size, which a JPEG gives without being decoded in full. Each
pixel of that picture is the mean of 64 pixels, and the mean of nine such means is compared. Noise of twelve
levels for each pixel changes that by two levels. A face of 20 pixels changes it by five or more, even before
a blurred copy of itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from agegender.shared.messages.pipeline import BoxXyxy, Frame, FrameInfo

Grey = NDArray[np.uint8]

LEAST_CHANGE = 4
"""Levels, of 255. A smaller change is noise."""

_WINDOW = (3, 3)


@dataclass(frozen=True, slots=True)
class Searched:
    """A frame that was searched, for comparison with later ones of its camera."""

    info: FrameInfo
    small: Grey
    """See `small_picture`."""
    boxes_xyxy: Sequence[BoxXyxy]
    """The faces that were found."""


class MotionGate:
    """Says which frames of a live camera show nothing new.

    Every frame is compared with one that was searched, never with the frame before. So a slow change adds up
    until it is seen.

    Args:
        still_s: how long a search stands at most, while nothing moves.
    """

    def __init__(self, still_s: float) -> None:
        self._still_s = still_s

    def searched(self, frame: Frame, boxes_xyxy: Sequence[BoxXyxy]) -> Searched | None:
        """What later frames are compared with. None: they have to be searched."""
        if frame.info.is_complete:
            return None
        small = small_picture(frame.jpeg)
        return None if small is None else Searched(frame.info, small, tuple(boxes_xyxy))

    def shows_the_same(self, frame: Frame, searched: Searched) -> bool:
        """Whether the frame shows what the searched one showed, and that one is not too old."""
        info, before = frame.info, searched.info
        if info.stream_id != before.stream_id or info.clock != before.clock:
            return False
        if not 0 <= info.captured_at_s - before.captured_at_s < self._still_s:
            return False
        small = small_picture(frame.jpeg)
        return small is not None and not has_changed(searched.small, small)


def small_picture(jpeg: bytes) -> Grey | None:
    """The grey picture at an eighth of its size, smoothed; None when it cannot be decoded."""
    grey = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_8)
    return None if grey is None else np.asarray(cv2.blur(grey, _WINDOW), np.uint8)


def has_changed(before: Grey, after: Grey) -> bool:
    """Whether two small pictures differ anywhere by more than noise."""
    return before.shape != after.shape or int(cv2.absdiff(before, after).max()) >= LEAST_CHANGE
