"""Each face gets its own age and gender, independent of the other faces in its batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from agegender.services.classify.calibration import OLDEST_YEARS, load_calibration
from agegender.services.classify.head import Predictions
from agegender.services.classify.nets import PackedNets, litert_nets
from agegender.services.classify.stage import ClassifyStage
from agegender.services.detect.faces.yunet import YuNet
from agegender.services.detect.stage import DetectStage
from agegender.shared.images.faces import CHIP_SIDE_PX
from agegender.shared.images.pictures import encode_jpeg
from agegender.shared.messages.pipeline import Face, Result
from agegender.shared.models import load_manifest, weights
from agegender.shared.runtime.stage import Bad, Done, Outcome
from agegender.simulator.content.scenes import ASTRONAUT
from tests.support.made_calibration import calibration
from tests.support.made_messages import face, face_info, frame, frame_info

NOW_S = 1_700_000_009.0


class _Brightness:
    """Nets that read the blue of a chip as age and its red as male, so each answer shows its chip."""

    name = "brightness"

    def __init__(self) -> None:
        self.batch_sizes: list[int] = []

    def open(self) -> None:
        """Loads nothing."""

    def predict(self, chips_bgr: NDArray[np.uint8]) -> Predictions:
        self.batch_sizes.append(len(chips_bgr))
        middle = chips_bgr[:, 80, 80].astype(np.float32)
        male = np.clip(middle[:, 2] / np.float32(255), 0.001, 0.999)
        return Predictions(middle[:, 0] - 20, np.log(male / (1 - male)), np.full(len(male), 5, np.float32))

    def close(self) -> None:
        """Frees nothing."""


def _chip(blue: int, red: int = 0, side_px: int = CHIP_SIDE_PX) -> bytes:
    chip_bgr = np.zeros((side_px, side_px, 3), np.uint8)
    chip_bgr[..., 0], chip_bgr[..., 2] = blue, red
    return encode_jpeg(chip_bgr, 100)


def _face(chip_jpeg: bytes, index: int = 0) -> Face:
    return face(face_info(frame_info(), index, 10), chip_jpeg=chip_jpeg)


def _result(outcome: Outcome[Result]) -> Result:
    assert isinstance(outcome, Done)
    (result,) = outcome.outputs
    return result


def _stage() -> ClassifyStage:
    return ClassifyStage(_Brightness(), calibration(), clock=lambda: NOW_S)


def test_a_broken_chip_does_not_mix_up_the_answers() -> None:
    faces = [
        _face(_chip(40, 255), 0),
        _face(b"no picture", 1),
        _face(_chip(60, 0), 2),
        _face(_chip(80, 255), 3),
        _face(b"\xff\xd8\xff\xd9", 4),
        _face(_chip(100, 0), 5),
    ]
    nets = _Brightness()
    outcomes = ClassifyStage(nets, calibration()).classify(faces)
    assert [isinstance(outcome, Bad) for outcome in outcomes] == [False, True, False, False, True, False]
    results = [_result(outcome) for outcome in outcomes if isinstance(outcome, Done)]
    assert [result.face.index for result in results] == [0, 2, 3, 5]
    assert [result.age_years for result in results] == pytest.approx([20, 40, 60, 80], abs=3)
    assert [result.gender for result in results] == ["male", "female", "male", "female"]
    assert nets.batch_sizes == [4], "all readable chips go through the nets together"


def test_a_broken_chip_is_bad_with_its_reason() -> None:
    (outcome,) = _stage().classify([_face(b"no picture")])
    assert isinstance(outcome, Bad)
    assert "no picture" in outcome.reason


@pytest.mark.parametrize("side_px", [1, CHIP_SIDE_PX - 1])
def test_a_chip_of_another_size_is_bad(side_px: int) -> None:
    (outcome,) = _stage().classify([_face(_chip(9, side_px=side_px))])
    assert outcome == Bad(f"the chip is {side_px} x {side_px} pixels, expected 160 x 160")


def test_a_chip_of_as_many_pixels_in_another_shape_is_bad() -> None:
    wide = encode_jpeg(np.zeros((80, 320, 3), np.uint8), 90)
    assert _stage().classify([_face(wide)]) == [Bad("the chip is 320 x 80 pixels, expected 160 x 160")]


def test_an_oversize_chip_is_bad_before_it_is_decoded() -> None:
    (outcome,) = _stage().classify([_face(_chip(9, side_px=4_000))])
    assert isinstance(outcome, Bad)
    assert "claims 4000 x 4000" in outcome.reason


def test_without_a_chip_the_nets_do_not_run() -> None:
    nets = _Brightness()
    stage = ClassifyStage(nets, calibration())
    assert stage.classify([]) == []
    assert len(stage.classify([_face(b"no picture")])) == 1
    assert nets.batch_sizes == []


def test_a_result_carries_its_face_the_nets_and_the_time() -> None:
    sent = _face(_chip(54, 200), 3)
    result = _result(*_stage().classify([sent]))
    assert result.face == sent.info
    assert result.nets == "brightness"
    assert result.classified_at_s == NOW_S


@pytest.mark.parametrize(("blue", "age_years"), [(0, 0.0), (255, OLDEST_YEARS)])
def test_an_age_beyond_what_people_reach_is_cut_off(blue: int, age_years: float) -> None:
    assert _result(*_stage().classify([_face(_chip(blue))])).age_years == age_years


@pytest.mark.parametrize(
    ("red", "gender", "confidence"), [(255, "male", 1.0), (0, "female", 1.0), (51, "female", 0.8)]
)
def test_the_confidence_is_that_of_the_gender_named(red: int, gender: str, confidence: float) -> None:
    result = _result(*_stage().classify([_face(_chip(100, red))]))
    assert result.gender == gender
    assert result.gender_confidence == pytest.approx(confidence, abs=0.03)


def test_an_unclassified_face_says_why_and_runs_no_net() -> None:
    nets = _Brightness()
    small = face_info().model_copy(update={"box_xyxy": (0.0, 0.0, 20.0, 20.0)})
    blurred = face_info().model_copy(update={"quality": 0.0})
    faces = [face(small, chip_jpeg=_chip(40)), _face(_chip(60, 255)), face(blurred, chip_jpeg=_chip(80))]
    first, classified, last = (_result(one) for one in ClassifyStage(nets, calibration()).classify(faces))
    assert [first.unclassified, classified.unclassified, last.unclassified] == [
        "too-small",
        None,
        "too-blurred",
    ]
    assert classified.age_years == pytest.approx(40, abs=3)
    for one in (first, last):
        assert (one.age_years, one.age_interval_years, one.male_probability) == (None, None, None)
        assert (one.gender, one.gender_confidence) == ("unknown", 0.5)
    assert nets.batch_sizes == [1]


def test_each_face_gets_the_interval_of_its_quality() -> None:
    made = calibration(high_years=((30.0, 10.0), (40.0, 20.0)))
    stage = ClassifyStage(_Brightness(), made)
    good, poor = (face_info().model_copy(update={"quality": quality}) for quality in (0.8, 0.2))
    results = stage.classify([face(info, chip_jpeg=_chip(60)) for info in (good, poor)])
    widths = [np.ptp(_result(one).age_interval_years or ()) for one in results]
    assert widths == pytest.approx([15, 35], abs=1)


def test_an_unlikely_gender_is_unknown_with_its_probability() -> None:
    stage = ClassifyStage(_Brightness(), calibration(unknown_below=0.7))
    result = _result(*stage.classify([_face(_chip(100, 102))]))
    assert result.gender == "unknown"
    assert result.gender_confidence == pytest.approx(0.6, abs=0.03)
    assert result.male_probability == pytest.approx(0.4, abs=0.03)


@pytest.fixture(scope="module")
def nets() -> Iterator[PackedNets]:
    one = litert_nets()
    one.open()
    yield one
    one.close()


@pytest.fixture(scope="module")
def astronaut() -> Sequence[Face]:
    """The face of the portrait as detect sends it, upright and mirrored."""
    picture_bgr = np.asarray(cv2.imread(str(ASTRONAUT)), np.uint8)
    both = [np.ascontiguousarray(one) for one in (picture_bgr, picture_bgr[:, ::-1])]
    detect = DetectStage(YuNet(weights("yunet")))
    outcomes = [detect.find(frame(jpeg=encode_jpeg(one, 95))) for one in both]
    return [one for outcome in outcomes if isinstance(outcome, Done) for one in outcome.outputs]


def _real_stage(nets: PackedNets) -> ClassifyStage:
    return ClassifyStage(nets, load_calibration("default"), clock=lambda: NOW_S)


def test_the_real_nets_classify_a_real_face(nets: PackedNets, astronaut: Sequence[Face]) -> None:
    results = [_result(outcome) for outcome in _real_stage(nets).classify(astronaut)]
    assert len(results) == 2
    for result in results:
        assert result.gender == "female"
        assert result.gender_confidence > 0.6
        assert result.age_years is not None
        assert 20 <= result.age_years <= 48
        assert result.age_interval_years is not None
        assert 5 < np.ptp(result.age_interval_years) < 50
        assert result.male_probability == pytest.approx(1 - result.gender_confidence)
        assert result.nets == load_manifest().packs["default"].name


def test_the_batch_does_not_change_the_answer_for_a_face(nets: PackedNets, astronaut: Sequence[Face]) -> None:
    stage = _real_stage(nets)
    grey = _face(_chip(128, 128), 5)
    alone = [stage.classify([one])[0] for one in (*astronaut, grey)]
    assert stage.classify([*astronaut, grey]) == alone
    shuffled = stage.classify([grey, _face(b"no picture"), *reversed(astronaut)])
    assert [shuffled[3], shuffled[2], shuffled[0]] == alone
