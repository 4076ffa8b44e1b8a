"""Chips in, age and gender out, a whole batch through the nets at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from services.classify.nets import AgeGenderNets
from shared.faces import CHIP_SIDE_PX
from shared.messages import Face, Gender, Result
from shared.pictures import Bgr, UnreadablePicture, decode_picture
from shared.stage import Bad, Done, Outcome

OLDEST_YEARS = 120.0
"""The net's age is a regression without bounds; what it reads beyond 0 to this is cut off."""


class ClassifyStage:
    """Runs the nets on all chips of a batch that can be read."""

    def __init__(self, nets: AgeGenderNets, *, clock: Callable[[], float] = time.time) -> None:
        self._nets = nets
        self._clock = clock

    def process(self, batch: Sequence[Face]) -> Sequence[Outcome[Result]]:
        """One outcome a face: its result, or why its chip is bad."""
        outcomes: list[Outcome[Result]] = []
        chips_bgr: list[Bgr] = []
        judged: list[int] = []
        for position, face in enumerate(batch):
            try:
                chips_bgr.append(_chip(face))
                judged.append(position)
                outcomes.append(Done())
            except UnreadablePicture as error:
                outcomes.append(Bad(str(error)))
        if not judged:
            return outcomes
        predictions = self._nets.predict(np.stack(chips_bgr))
        for position, age_years, male in zip(
            judged, predictions.age_years, predictions.male_probability, strict=True
        ):
            outcomes[position] = Done((self._result(batch[position], float(age_years), float(male)),))
        return outcomes

    def _result(self, face: Face, age_years: float, male: float) -> Result:
        gender: Gender = "male" if male >= 0.5 else "female"
        return Result(
            face=face.info,
            age_years=round(min(max(age_years, 0.0), OLDEST_YEARS), 1),
            gender=gender,
            gender_confidence=round(max(male, 1.0 - male), 4),
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
