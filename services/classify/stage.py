"""The stage of classify: faces in, results out. The nets run once for a whole batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from agegender.services.classify.calibration import Calibration
from agegender.services.classify.nets import AgeGenderNets
from agegender.shared.images.faces import CHIP_SIDE_PX
from agegender.shared.images.pictures import Bgr, UnreadablePicture, decode_picture
from agegender.shared.images.pose import turn
from agegender.shared.images.quality import why_unclassified
from agegender.shared.messages.pipeline import Face, Result, TrackUpdate, Unclassified
from agegender.shared.runtime.stage import Bad, Done, Outcome


class ClassifyStage:
    """Runs the nets on all faces of a batch that are good enough and can be decoded.

    Args:
        nets: opened.
        calibration: made for these nets.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        nets: AgeGenderNets,
        calibration: Calibration,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._nets = nets
        self._calibration = calibration
        self._clock = clock

    def process(self, batch: Sequence[Face | TrackUpdate]) -> Sequence[Outcome[Result | TrackUpdate]]:
        """One outcome for each message. Faces are classified; track updates pass unchanged."""
        classified = iter(self.classify([message for message in batch if isinstance(message, Face)]))
        return [next(classified) if isinstance(message, Face) else Done((message,)) for message in batch]

    def classify(self, batch: Sequence[Face]) -> Sequence[Outcome[Result]]:
        """One outcome for each face: its result, or why its chip is bad.

        A face of too low quality gets a result that is unclassified, with the reason.
        """
        outcomes: list[Outcome[Result]] = []
        chips_bgr: list[Bgr] = []
        classified: list[int] = []
        for position, face in enumerate(batch):
            unclassified = why_unclassified(face.info)
            if unclassified is not None:
                outcomes.append(Done((self._unclassified(face, unclassified),)))
                continue
            try:
                chips_bgr.append(_chip(face))
                classified.append(position)
                outcomes.append(Done())
            except UnreadablePicture as error:
                outcomes.append(Bad(str(error)))
        if not classified:
            return outcomes
        predictions = self._nets.predict(np.stack(chips_bgr))
        for position, *predicted in zip(classified, *predictions, strict=True):
            outcomes[position] = Done((self._result(batch[position], *(float(one) for one in predicted)),))
        return outcomes

    def _result(self, face: Face, age_years: float, male_logit: float, error_years: float) -> Result:
        classification = self._calibration.classify(
            age_years, male_logit, error_years, face.info.quality, turn(face.info.landmarks_xy)
        )
        low_years, high_years = classification.interval_years
        return Result(
            face=face.info,
            age_years=round(classification.age_years, 1),
            age_interval_years=(round(low_years, 1), round(high_years, 1)),
            gender=classification.gender,
            gender_confidence=round(classification.gender_confidence, 4),
            male_probability=round(classification.male_probability, 4),
            nets=self._nets.name,
            classified_at_s=self._clock(),
        )

    def _unclassified(self, face: Face, why: Unclassified) -> Result:
        return Result(
            face=face.info,
            unclassified=why,
            gender="unknown",
            gender_confidence=0.5,
            nets=self._nets.name,
            classified_at_s=self._clock(),
        )


def _chip(face: Face) -> Bgr:
    chip_bgr = decode_picture(face.chip_jpeg, CHIP_SIDE_PX**2)
    if chip_bgr.shape != (CHIP_SIDE_PX, CHIP_SIDE_PX, 3):
        height_px, width_px = chip_bgr.shape[:2]
        raise UnreadablePicture(
            f"the chip is {width_px} x {height_px} pixels, expected {CHIP_SIDE_PX} x {CHIP_SIDE_PX}"
        )
    return chip_bgr
