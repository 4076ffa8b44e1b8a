"""Flip augmentation averages the answers for a face and its mirror image."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from agegender.services.classify.config import ClassifySettings
from agegender.services.classify.flip_augmentation import predict
from agegender.services.classify.nets import LiteRTNets
from agegender.shared.errors import SettingsError
from agegender.shared.images.pictures import Bgr
from agegender.simulator.content.scenes import ASTRONAUT


@pytest.fixture(scope="module")
def nets() -> Iterator[LiteRTNets]:
    one = LiteRTNets()
    one.open()
    yield one
    one.close()


@pytest.fixture(scope="module")
def chip() -> Bgr:
    picture = cv2.imread(str(Path(ASTRONAUT)))
    assert picture is not None
    return np.asarray(picture[36:196, 146:306], np.uint8)


def test_the_answer_is_the_mean_of_face_and_mirror_image(nets: LiteRTNets, chip: Bgr) -> None:
    chips = np.stack([chip, chip[:, ::-1]])
    single, double = (predict(nets, chips, flip_augmentation=flip) for flip in (False, True))
    assert abs(single.age_years[0] - single.age_years[1]) > 0.1, "else this test shows nothing"
    np.testing.assert_allclose(double.age_years, single.age_years.mean(), rtol=0, atol=1e-3)
    np.testing.assert_allclose(double.male_logit, single.male_logit.mean(), rtol=0, atol=1e-3)


def test_without_it_the_answer_is_what_the_nets_read(nets: LiteRTNets, chip: Bgr) -> None:
    once, read = predict(nets, chip[np.newaxis], flip_augmentation=False), nets.predict(chip[np.newaxis])
    np.testing.assert_array_equal(once.age_years, read.age_years)
    np.testing.assert_array_equal(once.male_logit, read.male_logit)


@pytest.mark.parametrize(("text", "expected"), [("true", True), ("false", False), ("1", True), ("0", False)])
def test_flip_augmentation_is_a_setting(text: str, *, expected: bool) -> None:
    assert ClassifySettings.load({"CLASSIFY_FLIP_AUGMENTATION": text}).flip_augmentation is expected


@pytest.mark.parametrize("text", ["2", "3", "two", ""])
def test_a_setting_that_is_no_boolean_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="CLASSIFY_FLIP_AUGMENTATION"):
        ClassifySettings.load({"CLASSIFY_FLIP_AUGMENTATION": text})
