"""Builds the stage of detect from its settings, for every entry point."""

from __future__ import annotations

from collections.abc import Callable

import cv2

from agegender.services.detect.config import MAX_SEARCH_SIDE_PX, DetectSettings
from agegender.services.detect.faces.any_way_up import AnyWayUp
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
    stills: bool = False,
    is_removed: Callable[[str], bool] = lambda _camera_id: False,
    pace: Pace | None = None,
) -> DetectStage:
    """The stage with its detectors loaded. Limits OpenCV to one thread in the whole process.

    Args:
        stills: search pictures at more sizes, at most at twice `longer_side_px` or 4,096 px, and find out
            which way up they are. Photos may be larger than frames, and are searched only once.
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
    detector, *more = (_detector(settings, least_score, stills=stills) for _ in range(settings.threads))
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


def _detector(settings: DetectSettings, least_score: float, *, stills: bool) -> FaceDetector:
    if not stills:
        return YuNet(weights("yunet"), settings.longer_side_px, least_score)
    finer_side_px = min(2 * settings.longer_side_px, MAX_SEARCH_SIDE_PX)
    detector = MultiScaleYuNet(weights("yunet"), settings.longer_side_px, finer_side_px, least_score)
    return AnyWayUp(detector)
