"""Holds a scene's clip to what the scene says about it."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np

from agegender.simulator.content.scenes import Scene

_DETECTOR = Path(__file__).parents[2] / "shared/models/face_detection_yunet_2023mar.onnx"
_SIZE_WH = (640, 360)
_SCORE = 0.7


def assert_truth(scene: Scene) -> list[float]:
    """Fails unless YuNet finds `scene.face_count` faces in every frame, at half size.

    Returns the mean widths of the faces from left to right, in pixels of 640 x 360.
    """
    detector = cv2.FaceDetectorYN.create(str(_DETECTOR), "", _SIZE_WH, _SCORE)
    widths_px = []
    with av.open(str(scene.path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            picture = frame.to_ndarray(format="bgr24", width=_SIZE_WH[0], height=_SIZE_WH[1])
            found = detector.detect(picture)[1]
            boxes = [] if found is None else sorted(found.tolist())
            assert len(boxes) == scene.face_count, f"frame {index} of {scene.path.name}"
            widths_px.append([box[2] for box in boxes])
    assert widths_px, f"{scene.path.name} holds no frame"
    return [float(width) for width in np.mean(widths_px, axis=0)]
