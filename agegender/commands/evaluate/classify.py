"""Labelled pictures through the stages that `agegender analyze` uses for pictures."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from agegender.commands.evaluate.answers import Answer, Classified
from agegender.commands.evaluate.dataset import Label
from agegender.services.classify.stage import ClassifyStage
from agegender.services.detect.build import build_detect_stage
from agegender.services.detect.config import DetectSettings
from agegender.services.detect.faces.yunet import Detection
from agegender.services.detect.stage import DetectStage
from agegender.services.ingest.sources.stills import read_still
from agegender.services.ingest.sources.stream import CapturedFrame, shown_path
from agegender.services.ingest.stage import frame_info
from agegender.shared.images.pictures import Bgr, UnreadablePicture
from agegender.shared.messages.pipeline import Face, Result
from agegender.shared.runtime.stage import Bad, Done, Outcome

_BATCH_PICTURES = 32


@dataclass(frozen=True)
class FaceFinder:
    """Finds the face in the middle of a picture, as `agegender analyze` finds faces."""

    detect: DetectStage

    @classmethod
    def load(cls) -> FaceFinder:
        """Reads the settings and loads the detector; raises AgeGenderError where either fails."""
        return cls(build_detect_stage(DetectSettings.load(), stills=True))

    def middle_face(self, picture: Bgr | UnreadablePicture, path: Path) -> Face | str | None:
        """The face nearest to the middle of `picture`, None where there is none, or why it cannot be read."""
        if isinstance(picture, UnreadablePicture):
            return str(picture)
        captured = CapturedFrame("evaluation", "0", 0, time.time(), "arrival", picture, file=shown_path(path))
        searched = self.detect.search(picture, frame_info(captured, picture, time.time()))
        if not searched.faces:
            return None
        height_px, width_px = picture.shape[:2]
        distances_px = [_from_middle_px(one, width_px, height_px) for one in searched.faces]
        return searched.cut(distances_px.index(min(distances_px))).face()


def classify_labels(
    labels: Sequence[Label], finder: FaceFinder, packs: Sequence[ClassifyStage]
) -> Iterator[Sequence[Classified]]:
    """Yields for each label, in their order, what each pack says of its picture.

    A label describes the face that lies nearest to the middle of its picture. Each picture is searched once,
    so all packs answer for the same chip.
    """
    waiting = iter(labels)
    while batch := list(islice(waiting, _BATCH_PICTURES)):
        found = [finder.middle_face(read_picture(label.path), label.path) for label in batch]
        faces = [one for one in found if isinstance(one, Face)]
        answered = zip(*(pack.classify(faces) for pack in packs), strict=True)
        for label, one in zip(batch, found, strict=True):
            if isinstance(one, Face):
                yield [_classified(label, outcome) for outcome in next(answered)]
            else:
                # A report may be published: it names no path of this machine.
                problem = one and one.replace(str(label.path), label.name)
                yield [Classified(label, None, problem)] * len(packs)


def read_picture(path: Path) -> Bgr | UnreadablePicture:
    """The picture, or why it cannot be read."""
    try:
        return read_still(path)
    except UnreadablePicture as error:
        return error


def _classified(label: Label, outcome: Outcome[Result]) -> Classified:
    if isinstance(outcome, Done) and outcome.outputs:
        return Classified(label, Answer.of(outcome.outputs[0]))
    return Classified(label, None, outcome.reason if isinstance(outcome, Bad) else "dropped")


def _from_middle_px(face: Detection, width_px: int, height_px: int) -> float:
    left, top, right, bottom = face.box_xyxy
    return math.hypot((left + right - width_px) / 2, (top + bottom - height_px) / 2)
