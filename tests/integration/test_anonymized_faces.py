"""Detectors and nets find nothing in an anonymized face."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from agegender.commands.analyze import labels
from agegender.services.classify.nets import litert_nets
from agegender.services.detect.faces.alignment import cut_chip
from agegender.services.detect.faces.yunet import YuNet
from agegender.shared.images.anonymization import anonymize
from agegender.shared.models import weights
from tests.support.faces import ASTRONAUT_BOX_XYXY, astronaut


@pytest.mark.parametrize("size_px", [64, 200, 512, 1500])
def test_a_covered_face_is_found_by_no_detector_at_any_size(size_px: int) -> None:
    scale = size_px / 512
    picture = np.asarray(cv2.resize(astronaut(), (size_px, size_px), interpolation=cv2.INTER_AREA), np.uint8)
    face = [side * scale for side in ASTRONAUT_BOX_XYXY]
    covered = anonymize(picture, [(face[0], face[1], face[2], face[3])])
    detector = YuNet(weights("yunet"), min_score=0.5)
    for enlarged_px in (size_px, 320, 960):
        shown = np.asarray(cv2.resize(covered, (enlarged_px, enlarged_px)), np.uint8)
        there = labels._rect([side * enlarged_px / size_px for side in face])
        assert not any(labels._shared(labels._rect(one.box_xyxy), there) for one in detector.detect(shown))


def test_what_is_left_of_a_covered_face_tells_the_nets_nothing() -> None:
    nets = litert_nets()
    nets.open()
    chips = []
    for brightness in (1.0, 0.98):
        picture = (astronaut() * brightness).astype(np.uint8)
        (face,) = YuNet(weights("yunet")).detect(picture)
        chips += [cut_chip(picture, face.landmarks_xy)]
        chips += [cut_chip(anonymize(picture, [face.box_xyxy]), face.landmarks_xy)]
    uncovered, covered = chips[0].astype(int), chips[1].astype(int)
    assert np.abs(np.diff(uncovered, axis=1)).max() > 60
    assert np.abs(np.diff(covered[20:140, 20:140], axis=1)).max() < 12
    male = 1 / (1 + np.exp(-nets.predict(np.stack(chips)).male_logit))
    assert male[0] < 0.1
    assert abs(male[1] - male[0]) > 0.3
