"""Builds the stage of detect from its settings, for every entry point."""

from __future__ import annotations

from collections.abc import Callable

import cv2

from agegender.services.detect.config import MAX_SEARCH_SIDE_PX, DetectSettings
from agegender.services.detect.faces.multi_scale import MultiScaleYuNet
from agegender.services.detect.faces.search import FaceDetector
from agegender.services.detect.faces.yunet import YuNet
from agegender.services.detect.motion import MotionGate
from agegender.services.detect.pace import Pace
from agegender.services.detect.preview import DOUBTFUL_SCORE, PreviewRenderer
from agegender.services.detect.stage import DetectStage
from agegender.services.detect.tracking.camera_tracks import TrackLimits
from agegender.shared.images.opencv import check_opencv
from agegender.shared.models import weights
from agegender.shared.runtime.deadline import Deadline


def build_detect_stage(
    settings: DetectSettings,
    *,
    multi_scale: bool = False,
    is_removed: Callable[[str], bool] = lambda _camera_id: False,
    pace: Pace | None = None,
) -> DetectStage:
    """The stage with its detectors loaded. Limits OpenCV to one thread in the whole process.

    Args:
        multi_scale: search large pictures a second time, at twice `longer_side_px` (4,096 at most). This is
            for stills, which are larger than frames and are searched only once.
        is_removed: see `DetectStage`.

    Raises:
        AgeGenderError: OpenCV is too old, or the file of weights is missing or damaged.
    """
    check_opencv()
    # Two threads on two frames do more than two threads on one frame.
    cv2.setNumThreads(1)
    # OpenCV warns of damaged pictures on its own, past the log. They are reported as bad.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    # Doubtful faces come out of the same search, so they cost nothing.
    least_score = min(settings.min_score, DOUBTFUL_SCORE)
    detector, *more = (
        _detector(settings, least_score, multi_scale=multi_scale) for _ in range(settings.threads)
    )
    return DetectStage(
        detector,
        more_detectors=more,
        max_pixels=settings.max_pixels,
        min_score=settings.min_score,
        selection=settings.selection,
        limits=TrackLimits(settings.confirm_frames, settings.lost_s),
        preview=None if settings.preview == "off" else PreviewRenderer(settings.preview_px, settings.preview),
        deadline=Deadline(settings.stale_s),
        motion=MotionGate(settings.still_s) if settings.still_s else None,
        is_removed=is_removed,
        pace=pace,
    )


def _detector(settings: DetectSettings, least_score: float, *, multi_scale: bool) -> FaceDetector:
    if not multi_scale:
        return YuNet(weights("yunet"), settings.longer_side_px, least_score)
    finer_side_px = min(2 * settings.longer_side_px, MAX_SEARCH_SIDE_PX)
    return MultiScaleYuNet(weights("yunet"), settings.longer_side_px, finer_side_px, least_score)
