"""The stages of the pipeline, composed without a transport, for as many threads as there are cores."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Iterator

from agegender.analysis.people import Analyzed
from agegender.services.classify.build import build_classify_stage
from agegender.services.classify.config import ClassifySettings
from agegender.services.classify.stage import ClassifyStage
from agegender.services.detect.build import build_detect_stage
from agegender.services.detect.config import DetectSettings
from agegender.services.detect.faces.detections import FrameDetections
from agegender.services.detect.stage import DetectStage
from agegender.shared.images.pictures import Bgr
from agegender.shared.messages.pipeline import FrameInfo
from agegender.shared.runtime.stage import Done


class StageSet:
    """Detect and classify, one after the other. For one thread at a time.

    Args:
        frames: detects in the frames of videos and cameras.
        stills: detects in pictures.
        classify: classifies the faces of both.
    """

    def __init__(self, frames: DetectStage, stills: DetectStage, classify: ClassifyStage) -> None:
        self._frames = frames
        self._stills = stills
        self._classify = classify

    @classmethod
    def build(cls, detect: DetectSettings, classify: ClassifySettings) -> StageSet:
        """Loads all weights; raises AgeGenderError."""
        return cls(
            build_detect_stage(detect),
            build_detect_stage(detect, stills=True),
            build_classify_stage(classify),
        )

    def still(self, picture_bgr: Bgr, info: FrameInfo) -> Analyzed:
        """The faces of a picture, from left to right, with age and gender, and where there may be more."""
        return self._classified(self._stills.search(picture_bgr, info), 0.0)

    def frame(self, picture_bgr: Bgr, info: FrameInfo, time_s: float) -> Analyzed:
        """The same of a frame, `time_s` after the beginning of the video."""
        return self._classified(self._frames.search(picture_bgr, info), time_s)

    def _classified(self, searched: FrameDetections, time_s: float) -> Analyzed:
        outcomes = self._classify.classify(searched.all_faces())
        results = tuple(result for one in outcomes if isinstance(one, Done) for result in one.outputs)
        doubtful_xyxy = tuple(one.box_xyxy for one in searched.doubtful)
        return Analyzed(searched.info, time_s, results, doubtful_xyxy)


class StagePool:
    """Lends stage sets, each to one thread at a time. They are built when they are needed."""

    def __init__(self, build: Callable[[], StageSet], size: int) -> None:
        self._build = build
        # Last in, first out: what is built already is lent before something new is.
        self._free: queue.LifoQueue[StageSet | None] = queue.LifoQueue()
        for _ in range(size):
            self._free.put(None)

    def warm_up(self) -> None:
        """Builds the first stage set, so that what is missing is told at once; raises what `build` raises."""
        with self.lent():
            pass

    @contextlib.contextmanager
    def lent(self) -> Iterator[StageSet]:
        """A stage set for the length of the block; waits while all are lent."""
        stages = self._free.get()
        try:
            stages = stages or self._build()
            yield stages
        finally:
            self._free.put(stages)
