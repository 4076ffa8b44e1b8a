"""The faces of the public samples that the int8 ranges of net C are measured on.

They are the faces of the portrait and of the pictures, and of every 24th frame of the videos. With these,
net C answers as well as with 135 faces of FairFace. Their landmarks are recorded in `sample_faces.json`. So
the bytes of net C do not depend on the last digit of what a search finds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from agegender.services.detect.faces.alignment import cut_chip
from agegender.shared.images.pictures import Bgr
from agegender.simulator.content.samples import fetch_samples
from agegender.simulator.content.scenes import ASTRONAUT

Chips = NDArray[np.uint8]
_RECORDED = Path(__file__).with_name("sample_faces.json")


def sample_chips() -> Chips:
    """The chips, (N, 160, 160, 3), in the order of the file."""
    faces = json.loads(_RECORDED.read_bytes())
    folder = fetch_samples().multi_face.parent
    pictures: dict[tuple[str, int], Bgr] = {}
    for name in dict.fromkeys(face["file"] for face in faces):
        path = ASTRONAUT if name == ASTRONAUT.name else folder / name
        wanted = {face["frame"] for face in faces if face["file"] == name}
        pictures |= {(name, number): picture for number, picture in _pictures(path) if number in wanted}
    return np.stack(
        [
            cut_chip(pictures[face["file"], face["frame"]], np.array(face["landmarks_xy"], np.float64))
            for face in faces
        ]
    )


def _pictures(path: Path) -> Iterator[tuple[int, Bgr]]:
    """The frames of a video with their numbers, or a picture as frame 0."""
    if path.suffix == ".jpg":
        yield 0, np.asarray(cv2.imread(str(path)), np.uint8)
        return
    with av.open(str(path)) as video:
        for number, frame in enumerate(video.decode(video=0)):
            yield number, np.asarray(frame.to_ndarray(format="bgr24"), np.uint8)
