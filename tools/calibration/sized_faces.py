"""Labelled faces in several sizes, cut out by landmarks of which the nose weighs more or less."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from agegender.commands.evaluate.classify import read_picture
from agegender.commands.evaluate.dataset import Label
from agegender.services.detect.faces.alignment import cut_chip
from agegender.services.detect.faces.detections import CHIP_QUALITY
from agegender.services.detect.faces.yunet import Detection, YuNet
from agegender.shared.images.pictures import Bgr, UnreadablePicture, encode_jpeg
from agegender.shared.models import weights
from tools.calibration.labelled_faces import Chosen, LabelledFaces, known

SCALES = (1.0, 0.9, 0.8, 0.7, 0.6)
ChipJpegs = Sequence[bytes]
"""The chip of each face."""


@dataclass(frozen=True)
class SizedFaces(LabelledFaces):
    """The faces of all pictures in all sizes."""

    full_size: Chosen


def cut_faces(
    labels: Sequence[Label], nose_weights: Sequence[float]
) -> tuple[SizedFaces, Mapping[float, ChipJpegs]]:
    """The faces nearest to the middle of all pictures, and their chips for each weight of the nose."""
    detector = YuNet(weights("yunet"))
    people: list[tuple[int, Label]] = []
    full_size: list[bool] = []
    chips: dict[float, list[bytes]] = {nose: [] for nose in nose_weights}
    for person, label in enumerate(labels):
        picture = read_picture(label.path)
        if isinstance(picture, UnreadablePicture) or label.gender is None:
            continue
        for scale in SCALES:
            resized = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            scaled = np.asarray(resized, np.uint8)
            face = _middle_face(detector, scaled)
            if face is None:
                continue
            people.append((person, label))
            full_size.append(scale == 1)
            for nose, jpegs in chips.items():
                landmark_weights = np.array([1.0, 1.0, nose, 1.0, 1.0])
                chip_bgr = cut_chip(scaled, face.landmarks_xy, landmark_weights)
                jpegs.append(encode_jpeg(chip_bgr, CHIP_QUALITY))
    return SizedFaces(**vars(known(people)), full_size=np.array(full_size)), chips


def _middle_face(detector: YuNet, picture_bgr: Bgr) -> Detection | None:
    middle_xy = np.array(picture_bgr.shape[1::-1]) / 2

    def from_middle_px(face: Detection) -> float:
        return float(np.hypot(*(np.reshape(face.box_xyxy, (2, 2)).mean(axis=0) - middle_xy)))

    return min(detector.detect(picture_bgr), key=from_middle_px, default=None)
