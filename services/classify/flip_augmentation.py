"""Looking at a face more than once: the mean over its views is nearer to the truth than any one of them."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator

from agegender.services.classify.nets import AgeGenderNets, Predictions

Views = Annotated[Literal[1, 2], BeforeValidator(int)]
"""How often each face is looked at: 1, as it is; 2, and in the mirror as well, which takes twice the time.
Settings and the keys of JSON are text, hence `int`."""


def predict(nets: AgeGenderNets, chips_bgr: NDArray[np.uint8], views: Views) -> Predictions:
    """Age and gender of N chips, (N, 160, 160, 3) uint8 in BGR: the mean over the views of each.

    Raises:
        ChipsError: the chips have another shape or type.
    """
    upright = nets.predict(chips_bgr)
    if views == 1:
        return upright
    mirrored = nets.predict(np.ascontiguousarray(chips_bgr[:, :, ::-1]))
    return Predictions(
        (upright.age_years + mirrored.age_years) / np.float32(2),
        (upright.male_logit + mirrored.male_logit) / np.float32(2),
    )
