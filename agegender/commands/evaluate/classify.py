"""Labelled pictures through the stages of the pipeline."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from agegender.commands.evaluate.dataset import Label
from agegender.services.classify.stage import ClassifyStage
from agegender.services.detect.build import build_detect_stage
from agegender.services.detect.config import DetectSettings
from agegender.services.detect.stage import DetectStage
from agegender.services.ingest.config import IngestSettings
from agegender.services.ingest.sources.stills import read_still
from agegender.services.ingest.sources.stream import CapturedFrame, shown_path
from agegender.shared.images.pictures import Bgr, UnreadablePicture
from agegender.shared.messages.pipeline import Face, Frame, Result
from agegender.shared.runtime.stage import Bad, Done, Dropped, Outcome, Stage

_BATCH_PICTURES = 32

T = TypeVar("T")


@dataclass(frozen=True)
class Classified:
    """What the pipeline made of one labelled picture."""

    label: Label
    result: Result | None = None
    """None: no face was found, or the picture could not be read."""
    problem: str | None = None
    """Why the picture could not be read."""


@dataclass(frozen=True)
class FaceFinder:
    """The two stages that bring a picture to the face in its middle."""

    ingest: Stage[CapturedFrame, Frame]
    detect: DetectStage

    @classmethod
    def load(cls) -> FaceFinder:
        """Reads the settings and loads the detector; raises AgeGenderError where either fails."""
        return cls(IngestSettings.load().stage(), build_detect_stage(DetectSettings.load()))

    def middle_face(self, picture: Bgr | UnreadablePicture, path: Path) -> Face | str | None:
        """The face nearest to the middle of `picture`, None where there is none, or why it cannot be read."""
        captured = CapturedFrame("evaluation", "0", 0, time.time(), "arrival", picture, file=shown_path(path))
        if isinstance(picture, UnreadablePicture):
            return str(picture)
        (framed,) = self.ingest.process([captured])
        frame = _only(framed)
        if frame is None:
            return _problem(framed)
        detected = self.detect.find(frame)
        if not isinstance(detected, Done):
            return _problem(detected)
        return min(detected.outputs, key=_from_middle_px, default=None)


def classify_labels(
    labels: Sequence[Label], finder: FaceFinder, classify: ClassifyStage
) -> Iterator[Classified]:
    """Classifies the picture of each label, in their order, and yields each result at once.

    A label describes the face that lies nearest to the middle of its picture.
    """
    waiting = iter(labels)
    while batch := list(islice(waiting, _BATCH_PICTURES)):
        found = [finder.middle_face(read_picture(label.path), label.path) for label in batch]
        outcomes = iter(classify.classify([one for one in found if isinstance(one, Face)]))
        for label, one in zip(batch, found, strict=True):
            if isinstance(one, Face):
                outcome = next(outcomes)
                yield Classified(label, _only(outcome), _problem(outcome))
            else:
                yield Classified(label, None, one)


def read_picture(path: Path) -> Bgr | UnreadablePicture:
    """The picture, or why it cannot be read."""
    try:
        return read_still(path)
    except UnreadablePicture as error:
        return error


def _only(outcome: Outcome[T]) -> T | None:
    return outcome.outputs[0] if isinstance(outcome, Done) and outcome.outputs else None


def _problem(outcome: Outcome[object]) -> str | None:
    if isinstance(outcome, Bad):
        return outcome.reason
    return f"dropped: {outcome.reason}" if isinstance(outcome, Dropped) else None


def _from_middle_px(face: Face) -> float:
    left, top, right, bottom = face.info.box_xyxy
    frame = face.info.frame
    return math.hypot((left + right - frame.width_px) / 2, (top + bottom - frame.height_px) / 2)
