"""The settings of detect, and the stage that they describe."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import cv2
from pydantic import Field

from agegender.services.detect.faces.multi_scale import MultiScaleYuNet
from agegender.services.detect.faces.search import FaceDetector
from agegender.services.detect.faces.yunet import YuNet
from agegender.services.detect.preview import DOUBTFUL_SCORE, PreviewRenderer
from agegender.services.detect.stage import DetectStage, Selection
from agegender.services.detect.tracking.camera_tracks import TrackLimits
from agegender.shared.images.pictures import MAX_PIXELS
from agegender.shared.models import weights
from agegender.shared.process.settings import Settings
from agegender.shared.runtime.deadline import Deadline
from agegender.shared.runtime.runner import BatchLimits

_FINEST_PX = 4_096


class DetectSettings(Settings):
    """How faces are searched, followed and chosen."""

    prefix: ClassVar[str] = "DETECT_"

    longer_side_px: Annotated[int, Field(ge=160, le=_FINEST_PX)] = 960
    """Frames are shrunk to this before the search; the chips are cut from the full frame. The tool searches
    stills at twice as much besides."""
    min_score: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """Detections with a lower score are no faces."""
    selection: Selection = "best-shot"
    """`best` sends the faces that can improve the answer on a person, `every` all that are found."""
    confirm_frames: Annotated[int, Field(ge=1, le=100)] = 3
    """In so many frames somebody must be found to be a person: a slip of the detector is none."""
    lost_s: Annotated[float, Field(gt=0, le=60)] = 2.0
    """Whose face is lost for longer has gone; a face that comes later is somebody else."""
    preview: Literal["off", "blurred", "clear"] = "off"
    """Whether a small picture of each camera is sent once a second, and whether its faces are covered."""
    preview_px: Annotated[int, Field(ge=64, le=1_920)] = 480
    """The longer side of that picture."""
    stale_s: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 30.0
    """A frame of a live camera that was taken longer ago is dropped unseen."""
    max_pixels: Annotated[int, Field(ge=1)] = MAX_PIXELS
    """A frame that claims more is refused before it is decoded."""
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    """Frames searched side by side, each on a core. Cameras fall upon workers by chance: few large workers
    have more even shares of them than many small ones, and need fewer cores for the busiest of them."""
    batch_messages: Annotated[int, Field(ge=1)] = 8
    """Most frames of each thread processed between two commits."""

    def stage(self, *, finer: bool = False) -> DetectStage:
        """The stage; loads the detector's weights and keeps OpenCV to one thread, in the whole process.

        Args:
            finer: also searches large pictures at twice `longer_side_px`, up to 4,096: for stills, which are
                larger than frames and are seen only once.
        """
        # Two threads on two frames do more than two on one.
        cv2.setNumThreads(1)
        preview = None if self.preview == "off" else PreviewRenderer(self.preview_px, self.preview)
        # The doubtful are found with the others in one search, and cost nothing more.
        found_from = min(self.min_score, DOUBTFUL_SCORE)
        detector, *more = (self._detector(found_from, finer=finer) for _ in range(self.threads))
        return DetectStage(
            detector,
            more_detectors=more,
            max_pixels=self.max_pixels,
            min_score=self.min_score,
            selection=self.selection,
            limits=TrackLimits(self.confirm_frames, self.lost_s),
            preview=preview,
            deadline=Deadline(self.stale_s),
        )

    def _detector(self, found_from: float, *, finer: bool) -> FaceDetector:
        if not finer:
            return YuNet(weights("yunet"), self.longer_side_px, found_from)
        finer_side_px = min(2 * self.longer_side_px, _FINEST_PX)
        return MultiScaleYuNet(weights("yunet"), self.longer_side_px, finer_side_px, found_from)

    def batch(self) -> BatchLimits:
        """When a batch is large enough."""
        return BatchLimits(self.batch_messages * self.threads)
