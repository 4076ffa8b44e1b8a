"""Holds a scene's clip to what the scene says about it."""

from __future__ import annotations

import av
import numpy as np

from agegender.services.detect.faces.yunet import YuNet
from agegender.shared.models import weights
from agegender.simulator.content.scenes import Scene

_SIZE_WH = (640, 360)


def assert_truth(scene: Scene) -> list[float]:
    """Fails unless YuNet finds `scene.face_count` faces in every frame, at half size.

    Returns the mean widths of the faces from left to right, in pixels of 640 x 360.
    """
    detector = YuNet(weights("yunet"))
    widths_px = []
    with av.open(str(scene.path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            picture = frame.to_ndarray(format="bgr24", width=_SIZE_WH[0], height=_SIZE_WH[1])
            boxes_xyxy = [found.box_xyxy for found in detector.detect(picture.astype(np.uint8, copy=False))]
            assert len(boxes_xyxy) == scene.face_count, f"frame {index} of {scene.path.name}"
            widths_px.append([box[2] - box[0] for box in boxes_xyxy])
    assert widths_px, f"{scene.path.name} holds no frame"
    return [float(width) for width in np.mean(widths_px, axis=0)]
