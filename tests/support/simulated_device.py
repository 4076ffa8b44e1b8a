"""Inference as a device does it: a fixed time for each batch or frame, and no work for the processor."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from agegender.services.classify.head import Predictions
from agegender.services.classify.nets import check_chips
from agegender.services.detect.faces.yunet import Detection
from agegender.shared.images.pictures import Bgr
from agegender.shared.models import load_manifest

_LANDMARKS_XY = np.array([(75.0, 55.0), (105.0, 55.0), (90.0, 72.0), (77.0, 92.0), (103.0, 92.0)])


class SimulatedNets:
    """Nets that answer the same for each chip, `device_s` after they were asked, for any number of chips."""

    def __init__(self, device_s: float) -> None:
        self.name = load_manifest().packs["default"].name
        self._device_s = device_s

    def open(self) -> None:
        """Nothing to load."""

    def predict(self, chips_bgr: NDArray[np.uint8]) -> Predictions:
        """See `AgeGenderNets`."""
        check_chips(chips_bgr)
        time.sleep(self._device_s)
        age_years, male_logit, error_years = (
            np.full(len(chips_bgr), value, np.float32) for value in (34.0, -3.0, 5.0)
        )
        return Predictions(age_years, male_logit, error_years)

    def close(self) -> None:
        """Nothing to let go of."""


class SimulatedDetector:
    """Finds one face at the same place of each frame, `device_s` after it was asked."""

    def __init__(self, device_s: float) -> None:
        self._device_s = device_s

    def detect(self, picture_bgr: Bgr, smallest_face_px: int | None = None) -> Sequence[Detection]:  # noqa: ARG002
        """See `FaceDetector`."""
        time.sleep(self._device_s)
        return [Detection((60.0, 30.0, 120.0, 110.0), _LANDMARKS_XY, 0.95)]
