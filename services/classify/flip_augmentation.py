"""Flip augmentation: the mean answer for a face and its mirror image is more accurate."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from agegender.services.classify.nets import AgeGenderNets, Predictions


def predict(nets: AgeGenderNets, chips_bgr: NDArray[np.uint8], *, flip_augmentation: bool) -> Predictions:
    """The readings of N chips, (N, 160, 160, 3) uint8 in BGR.

    Args:
        flip_augmentation: average the readings of each chip and its mirror image. This takes twice the time.

    Raises:
        ChipsError: the chips have another shape or type.
    """
    upright = nets.predict(chips_bgr)
    if not flip_augmentation:
        return upright
    mirrored = nets.predict(np.ascontiguousarray(chips_bgr[:, :, ::-1]))
    return Predictions(
        (upright.age_years + mirrored.age_years) / np.float32(2),
        (upright.male_logit + mirrored.male_logit) / np.float32(2),
    )
