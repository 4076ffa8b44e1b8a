"""Age and gender from chips: right answers, each for its own chip, the same from every runtime."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Literal

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from agegender.services.classify.nets import (
    AgeGenderNets,
    ChipsError,
    LiteRTNets,
    Predictions,
)
from agegender.services.classify.tensorflow_nets import NoGpu, TensorFlowNets
from agegender.shared.errors import MissingExtra
from agegender.shared.models import load_manifest
from tests.support.availability import ServerUnavailableError, skip_or_fail

Chips = NDArray[np.uint8]
ROOT = Path(__file__).parents[2]
NET_A, NET_B = load_manifest().nets["age_gender_a"], load_manifest().nets["gender_b"]

# What the published models answer for these chips in their own runtimes, the logits added: A in
# TensorFlow.js, B in ONNX Runtime. The tolerances are what storing the weights as float16 may change.
PUBLISHED = {
    "face": (36.355, 0.00003),
    "mirrored": (35.975, 0.00009),
    "upside down": (19.596, 0.02229),
    "negative": (23.388, 0.99951),
    "noise": (70.833, 0.99849),
    "grey": (15.270, 0.99290),
}
FLOAT16_YEARS, FLOAT16_PROBABILITY = 0.03, 0.001


def male_probabilities(predictions: Predictions) -> NDArray[np.float64]:
    """The softmax of the summed logits, as the published models have it."""
    return np.asarray(1 / (1 + np.exp(-predictions.male_logit.astype(np.float64))))


def tensorflow() -> ModuleType:
    """TensorFlow, or a skipped test on a person's machine that does not have it."""
    try:
        return importlib.import_module("tensorflow")
    except ImportError:
        skip_or_fail(ServerUnavailableError("the extra `tensorflow` is not installed"))


@pytest.fixture(scope="module", params=["litert", "tensorflow"])
def nets(request: pytest.FixtureRequest) -> Iterator[AgeGenderNets]:
    opened: AgeGenderNets = LiteRTNets()
    if request.param == "tensorflow":
        tensorflow()
        # Sizes so small that seven chips need two batches, the second one filled up.
        opened = TensorFlowNets("cpu", batch_sizes=(2, 4))
    opened.open()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def chips() -> Chips:
    """One chip for each entry of PUBLISHED, (6, 160, 160, 3)."""
    picture = cv2.imread(str(ROOT / "simulator/astronaut.jpg"))
    assert picture is not None
    face = picture[36:196, 146:306]
    noise = np.random.default_rng(7).integers(0, 256, face.shape, np.uint8)
    made = [face, face[:, ::-1], face[::-1], 255 - face, noise, np.full_like(face, 128)]
    return np.stack(made).astype(np.uint8)


@pytest.mark.parametrize("position", range(len(PUBLISHED)), ids=list(PUBLISHED))
def test_the_answers_are_those_of_the_published_models(
    nets: AgeGenderNets, chips: Chips, position: int
) -> None:
    predictions = nets.predict(chips[position : position + 1])
    age_years, male_probability = list(PUBLISHED.values())[position]
    assert predictions.age_years[0] == pytest.approx(age_years, abs=FLOAT16_YEARS)
    assert male_probabilities(predictions)[0] == pytest.approx(male_probability, abs=FLOAT16_PROBABILITY)


@pytest.mark.parametrize("device", ["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def test_tensorflow_answers_as_litert_does(device: Literal["cpu", "gpu"]) -> None:
    tensorflow()
    coarse = np.random.default_rng(1).integers(0, 256, (12, 5, 5, 3), np.uint8)
    smooth = np.stack([cv2.resize(chip, (160, 160), interpolation=cv2.INTER_CUBIC) for chip in coarse])
    chips = smooth.astype(np.uint8)
    reference, other = LiteRTNets(), TensorFlowNets(device, batch_sizes=(16,))
    reference.open()
    other.open()
    expected, predictions = reference.predict(chips), other.predict(chips)
    np.testing.assert_allclose(predictions.age_years, expected.age_years, rtol=0, atol=2e-3)
    np.testing.assert_allclose(predictions.male_logit, expected.male_logit, rtol=0, atol=5e-3)


@pytest.mark.parametrize("count", [0, 1, 7])
def test_there_is_one_answer_for_each_chip(nets: AgeGenderNets, chips: Chips, count: int) -> None:
    predictions = nets.predict(np.resize(chips, (count, 160, 160, 3)))
    for values in predictions:
        assert values.shape == (count,)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()


def test_the_order_and_the_company_of_a_chip_do_not_matter(nets: AgeGenderNets, chips: Chips) -> None:
    order = np.random.default_rng(3).permutation(len(chips))
    together, shuffled = nets.predict(chips), nets.predict(chips[order])
    alone = np.array([nets.predict(chip[np.newaxis]).age_years[0] for chip in chips])
    np.testing.assert_allclose(shuffled.age_years, together.age_years[order], rtol=0, atol=1e-3)
    np.testing.assert_allclose(shuffled.male_logit, together.male_logit[order], rtol=0, atol=1e-3)
    np.testing.assert_allclose(alone, together.age_years, rtol=0, atol=1e-3)


def test_two_chips_that_swap_places_swap_their_answers(nets: AgeGenderNets, chips: Chips) -> None:
    woman, negative = chips[0], chips[3]
    for pair, woman_at in (((woman, negative), 0), ((negative, woman), 1)):
        predictions = nets.predict(np.stack(pair))
        assert predictions.male_logit[woman_at] < -4
        assert predictions.male_logit[1 - woman_at] > 4
        assert predictions.age_years[woman_at] > predictions.age_years[1 - woman_at] + 10


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        ((160, 160, 3), np.uint8),
        ((1, 112, 112, 3), np.uint8),
        ((1, 160, 160), np.uint8),
        ((1, 3, 160, 160), np.uint8),
        ((0, 160, 160, 4), np.uint8),
        ((1, 160, 160, 3), np.float32),
    ],
)
def test_chips_of_another_shape_or_type_are_refused(
    nets: AgeGenderNets, shape: tuple[int, ...], dtype: type
) -> None:
    with pytest.raises(ChipsError, match=r"shape \(N, 160, 160, 3\) and type uint8, got \(") as refused:
        nets.predict(np.zeros(shape, dtype))
    assert isinstance(refused.value, ValueError)
    assert str(shape) in str(refused.value)


def test_closed_nets_say_so_and_can_be_opened_again(chips: Chips) -> None:
    nets = LiteRTNets()
    with pytest.raises(RuntimeError, match=r"call open\(\) first"):
        nets.predict(chips)
    for _ in range(2):
        nets.open()
        assert len(nets.predict(chips).age_years) == len(chips)
        nets.close()
        nets.close()
    with pytest.raises(RuntimeError, match=r"call open\(\) first"):
        nets.predict(chips)


def test_all_runtimes_carry_the_name_in_the_manifest() -> None:
    assert LiteRTNets().name == TensorFlowNets().name == load_manifest().age_gender


def test_a_gpu_that_is_not_there_is_refused_with_advice() -> None:
    if tensorflow().config.list_physical_devices("GPU"):
        pytest.skip("TensorFlow sees a GPU here")
    with pytest.raises(NoGpu, match="nvidia-smi"):
        TensorFlowNets("gpu").open()


def test_a_gpu_that_is_left_idle_is_noticed() -> None:
    tf = tensorflow()
    with tf.device("CPU:0"):
        computed = tf.zeros([1])
    with pytest.raises(NoGpu, match=r"run on GPU:0, and TensorFlow ran them on .*CPU:0"):
        TensorFlowNets("gpu").check_device((computed,))


def test_without_tensorflow_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(MissingExtra, match=r"agegender\[tensorflow\]"):
        TensorFlowNets("cpu").open()


@pytest.mark.parametrize("sizes", [(), (0,), (8, -1)])
def test_batch_sizes_below_one_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="batch sizes of 1 or more"):
        TensorFlowNets("cpu", sizes)


def test_a_cpu_needs_no_tensorflow() -> None:
    program = """
import sys
import numpy as np
from agegender.services.classify.nets import LiteRTNets
from agegender.services.classify.tensorflow_nets import TensorFlowNets
nets = LiteRTNets()
nets.open()
assert len(nets.predict(np.zeros((2, 160, 160, 3), np.uint8)).age_years) == 2
loaded = sorted(name for name in sys.modules if name.partition(".")[0] in {"tensorflow", "keras"})
sys.exit(f"loaded {loaded}" if loaded else 0)
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
