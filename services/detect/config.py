"""The settings of detect, and the stage that they describe."""

from __future__ import annotations

from typing import Annotated, ClassVar

import cv2
from pydantic import Field

from services.detect.stage import DetectStage
from services.detect.yunet import YuNet
from shared.models import weights
from shared.pictures import MAX_PIXELS
from shared.settings import Settings


class DetectSettings(Settings):
    """How faces are searched."""

    prefix: ClassVar[str] = "DETECT_"

    longer_side_px: Annotated[int, Field(ge=160, le=4_096)] = 960
    """Frames are shrunk to this before the search; the chips are cut from the full frame."""
    min_score: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """Detections with a lower score are no faces."""
    max_pixels: Annotated[int, Field(ge=1)] = MAX_PIXELS
    """A frame that claims more is refused before it is decoded."""
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Threads of OpenCV in this process; two workers with one thread do more than one with two."""
    batch_messages: Annotated[int, Field(ge=1)] = 8
    """Most frames processed between two commits."""

    def stage(self) -> DetectStage:
        """The stage; loads the detector's weights and sets OpenCV's threads for the whole process."""
        cv2.setNumThreads(self.threads)
        return DetectStage(
            YuNet(weights("yunet"), self.longer_side_px, self.min_score), max_pixels=self.max_pixels
        )
