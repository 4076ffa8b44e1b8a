"""Age and gender from chips: right answers, each for its own chip, the same from every runtime."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Literal, get_args

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from agegender.services.classify.nets import (
    NET_A,
    NET_B,
    NET_C,
    AgeGenderNets,
    ChipsError,
    LiteRT,
    Runtime,
    View,
    litert_nets,
)
from agegender.services.classify.tensorflow_nets import NoGpu, TensorFlow, tensorflow_nets
from agegender.services.detect.faces.yunet import YuNet
from agegender.services.detect.stage import DetectStage
from agegender.shared.errors import MissingExtra
from agegender.shared.models import PackName, load_manifest, weights
from agegender.simulator.content.samples import SamplesUnavailable, fetch_samples
from agegender.simulator.content.scenes import ASTRONAUT
from tests.support.availability import ServerUnavailableError, skip_or_fail
from tests.support.made_messages import frame_info

Chips = NDArray[np.uint8]
ROOT = Path(__file__).parents[2]
PACKS: tuple[PackName, ...] = get_args(PackName)
UPRIGHT = tuple(View(net, mirrored=False) for net in (NET_A, NET_B, NET_C))

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

SAMPLES = (
    "multi_face",
    "single_face",
    "woman_surprised",
    "woman_smiling",
    "woman_angry",
    "man_disgusted",
)
# Years and male logit of each pack for the faces of the portrait and of SAMPLES, from the left. Processors
# round int8 differently, which moves an answer by less than the tolerances.
ANSWERS: Mapping[str, Mapping[PackName, tuple[float, float]]] = {
    "portrait": {"default": (38.4, -2.85), "open": (33.4, -3.43), "fast": (42.4, -2.45)},
    "multi_face 1": {"default": (24.6, 9.41), "open": (23.4, 6.93), "fast": (24.7, 11.12)},
    "multi_face 2": {"default": (20.1, -10.69), "open": (18.0, -7.01), "fast": (23.1, -10.27)},
    "multi_face 3": {"default": (20.4, 7.72), "open": (18.5, 4.94), "fast": (23.1, 7.5)},
    "multi_face 4": {"default": (24.6, -8.19), "open": (21.5, -6.2), "fast": (22.6, -8.76)},
    "multi_face 5": {"default": (18.4, -6.73), "open": (16.1, -4.15), "fast": (20.5, -6.7)},
    "single_face": {"default": (24.5, 6.95), "open": (22.1, 5.74), "fast": (23.3, 7.04)},
    "woman_surprised": {"default": (19.4, -7.6), "open": (16.6, -5.31), "fast": (22.8, -7.32)},
    "woman_smiling": {"default": (30.6, -12.3), "open": (26.9, -9.86), "fast": (34.5, -12.0)},
    "woman_angry": {"default": (18.9, -4.97), "open": (15.4, -2.37), "fast": (22.5, -5.26)},
    "man_disgusted": {"default": (27.9, 6.74), "open": (26.9, 5.22), "fast": (25.9, 7.57)},
}
ANSWER_YEARS, ANSWER_LOGIT = 1.0, 0.5
# Net C computes in int8 in LiteRT, and in float32 in TensorFlow.
RUNTIMES_YEARS, RUNTIMES_LOGIT = 1.0, 0.5


def tensorflow() -> ModuleType:
    """TensorFlow, or a skipped test on a person's machine that does not have it."""
    try:
        return importlib.import_module("tensorflow")
    except ImportError:
        skip_or_fail(ServerUnavailableError("the extra `tensorflow` is not installed"))


@pytest.fixture(scope="module", params=["litert", "tensorflow"])
def runtime(request: pytest.FixtureRequest) -> Iterator[Runtime]:
    """The three nets upright."""
    opened: Runtime = LiteRT(UPRIGHT)
    if request.param == "tensorflow":
        tensorflow()
        opened = TensorFlow(UPRIGHT, "cpu", batch_sizes=(8,))
    opened.open()
    yield opened
    opened.close()


@pytest.fixture(scope="module", params=["litert", "tensorflow"])
def nets(request: pytest.FixtureRequest) -> Iterator[AgeGenderNets]:
    opened: AgeGenderNets = litert_nets()
    if request.param == "tensorflow":
        tensorflow()
        # Sizes so small that seven chips need two batches, the second one filled up.
        opened = tensorflow_nets(device="cpu", batch_sizes=(2, 4))
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


@pytest.fixture(scope="module")
def faces() -> Chips:
    """The chips of the portrait and of the public sample pictures, in the order of ANSWERS."""
    try:
        samples = fetch_samples()
    except SamplesUnavailable as error:
        skip_or_fail(ServerUnavailableError(str(error)))
    detect = DetectStage(YuNet(weights("yunet")))
    pictures = (ASTRONAUT, *(getattr(samples, name) for name in SAMPLES))
    cut = []
    for picture in pictures:
        picture_bgr = np.asarray(cv2.imread(str(picture)), np.uint8)
        height_px, width_px = picture_bgr.shape[:2]
        found = detect.search(
            picture_bgr, frame_info().model_copy(update={"width_px": width_px, "height_px": height_px})
        )
        cut += [found.cut(index).chip_bgr for index in range(len(found.faces))]
    assert len(cut) == len(ANSWERS)
    return np.stack(cut)


@pytest.mark.parametrize("position", range(len(PUBLISHED)), ids=list(PUBLISHED))
def test_nets_a_and_b_answer_as_published(runtime: Runtime, chips: Chips, position: int) -> None:
    a, b, _ = runtime.outputs(chips[position : position + 1])
    age_years, male_probability = list(PUBLISHED.values())[position]
    assert a[0, 0] == pytest.approx(age_years, abs=FLOAT16_YEARS)
    logit = float(a[0, 1] - a[0, 2] + b[0, 1] - b[0, 0])
    assert 1 / (1 + np.exp(-logit)) == pytest.approx(male_probability, abs=FLOAT16_PROBABILITY)


@pytest.mark.parametrize("device", ["cpu", pytest.param("gpu", marks=pytest.mark.gpu)])
def test_tensorflow_runs_each_net_as_litert_does(device: Literal["cpu", "gpu"]) -> None:
    """Net C computes in int8 in LiteRT and in float32 in TensorFlow; A and B compute alike."""
    tensorflow()
    coarse = np.random.default_rng(1).integers(0, 256, (12, 5, 5, 3), np.uint8)
    smooth = np.stack([cv2.resize(chip, (160, 160), interpolation=cv2.INTER_CUBIC) for chip in coarse])
    made = smooth.astype(np.uint8)
    reference, other = LiteRT(UPRIGHT), TensorFlow(UPRIGHT, device, batch_sizes=(16,))
    reference.open()
    other.open()
    expected, outputs = reference.outputs(made), other.outputs(made)
    for one, same in zip(expected[:2], outputs[:2], strict=True):
        np.testing.assert_allclose(same, one, rtol=0, atol=5e-3)
    assert np.corrcoef(expected[2].ravel(), outputs[2].ravel())[0, 1] > 0.98


@pytest.mark.parametrize("pack", PACKS)
def test_both_runtimes_answer_alike_for_faces(pack: PackName, faces: Chips) -> None:
    tensorflow()
    reference, other = litert_nets(pack), tensorflow_nets(pack, "cpu", batch_sizes=(len(faces),))
    reference.open()
    other.open()
    expected, predictions = reference.predict(faces), other.predict(faces)
    np.testing.assert_allclose(predictions.age_years, expected.age_years, rtol=0, atol=RUNTIMES_YEARS)
    np.testing.assert_allclose(predictions.male_logit, expected.male_logit, rtol=0, atol=RUNTIMES_LOGIT)
    np.testing.assert_allclose(predictions.error_years, expected.error_years, rtol=0, atol=RUNTIMES_YEARS)


@pytest.mark.parametrize("pack", PACKS)
def test_public_faces_keep_their_answers(pack: PackName, faces: Chips) -> None:
    opened = litert_nets(pack)
    opened.open()
    predictions = opened.predict(faces)
    for (name, answers), age_years, logit, error_years in zip(ANSWERS.items(), *predictions, strict=True):
        expected_years, expected_logit = answers[pack]
        assert age_years == pytest.approx(expected_years, abs=ANSWER_YEARS), name
        assert logit == pytest.approx(expected_logit, abs=ANSWER_LOGIT), name
        assert 2 < error_years < 10, name


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
    np.testing.assert_allclose(shuffled.age_years, together.age_years[order], rtol=0, atol=1e-2)
    np.testing.assert_allclose(shuffled.male_logit, together.male_logit[order], rtol=0, atol=1e-2)
    np.testing.assert_allclose(alone, together.age_years, rtol=0, atol=1e-2)


def test_two_chips_that_swap_places_swap_their_answers(nets: AgeGenderNets, chips: Chips) -> None:
    woman, noise = chips[0], chips[4]
    answers = [nets.predict(np.stack(pair)) for pair in ((woman, noise), (noise, woman))]
    assert abs(answers[0].age_years[0] - answers[0].age_years[1]) > 5, "else this test shows nothing"
    for one, other in zip(*answers, strict=True):
        np.testing.assert_allclose(one, other[::-1], rtol=0, atol=1e-2)


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
    nets = litert_nets()
    with pytest.raises(RuntimeError, match=r"call open\(\) first"):
        nets.predict(chips)
    for _ in range(2):
        nets.open()
        assert len(nets.predict(chips).age_years) == len(chips)
        nets.close()
        nets.close()
    with pytest.raises(RuntimeError, match=r"call open\(\) first"):
        nets.predict(chips)


def test_both_runtimes_carry_the_name_of_the_pack() -> None:
    for pack, described in load_manifest().packs.items():
        assert litert_nets(pack).name == tensorflow_nets(pack).name == described.name


def test_a_gpu_that_is_not_there_is_refused_with_advice() -> None:
    if tensorflow().config.list_physical_devices("GPU"):
        pytest.skip("TensorFlow sees a GPU here")
    with pytest.raises(NoGpu, match="nvidia-smi"):
        tensorflow_nets().open()


def test_a_gpu_that_is_left_idle_is_noticed() -> None:
    tf = tensorflow()
    with tf.device("CPU:0"):
        computed = tf.zeros([1])
    with pytest.raises(NoGpu, match=r"run on GPU:0, and TensorFlow ran them on .*CPU:0"):
        TensorFlow(UPRIGHT, "gpu").check_device((computed,))


def test_without_tensorflow_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(MissingExtra, match=r"agegender\[tensorflow\]"):
        tensorflow_nets(device="cpu").open()


@pytest.mark.parametrize("sizes", [(), (0,), (8, -1)])
def test_batch_sizes_below_one_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="batch sizes of 1 or more"):
        tensorflow_nets("default", "cpu", sizes)


def test_a_cpu_needs_no_tensorflow() -> None:
    program = """
import sys
import numpy as np
from agegender.services.classify.nets import litert_nets
from agegender.services.classify.tensorflow_nets import tensorflow_nets
nets = litert_nets()
nets.open()
assert len(nets.predict(np.zeros((2, 160, 160, 3), np.uint8)).age_years) == 2
loaded = sorted(name for name in sys.modules if name.partition(".")[0] in {"tensorflow", "keras"})
sys.exit(f"loaded {loaded}" if loaded else 0)
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
