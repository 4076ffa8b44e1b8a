"""The stages of the pipeline, composed without a transport, for as many threads as there are cores."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Iterator

from services.classify.config import ClassifySettings
from services.classify.stage import ClassifyStage
from services.detect.config import DetectSettings
from services.detect.stage import DetectStage
from shared.messages import FrameInfo, Result
from shared.pictures import Bgr
from shared.stage import Done


class StageSet:
    """Detect and classify, one after the other. For one thread at a time."""

    def __init__(self, detect: DetectStage, classify: ClassifyStage) -> None:
        self._detect = detect
        self._classify = classify

    @classmethod
    def build(cls, detect: DetectSettings, classify: ClassifySettings) -> StageSet:
        """Loads all weights; raises AgeGenderError."""
        return cls(detect.stage(), classify.stage())

    def judge(self, picture_bgr: Bgr, info: FrameInfo) -> tuple[Result, ...]:
        """The faces of a picture, from left to right, with age and gender."""
        faces = self._detect.faces_in(picture_bgr, info)
        outcomes = self._classify.judge(faces) if faces else ()
        return tuple(result for one in outcomes if isinstance(one, Done) for result in one.outputs)


class StagePool:
    """Lends stage sets, each to one thread at a time. The first is built at once, the others when needed."""

    def __init__(self, build: Callable[[], StageSet], size: int) -> None:
        self._build = build
        # Last in, first out: what is built already is lent before something new is.
        self._free: queue.LifoQueue[StageSet | None] = queue.LifoQueue()
        for _ in range(size - 1):
            self._free.put(None)
        self._free.put(build())

    @contextlib.contextmanager
    def lent(self) -> Iterator[StageSet]:
        """A stage set for the length of the block; waits while all are lent."""
        stages = self._free.get()
        try:
            stages = stages or self._build()
            yield stages
        finally:
            self._free.put(stages)
