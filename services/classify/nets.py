"""The nets that read age and gender from chips, and their runtime on a CPU.

Net A reads age and gender, net B reads gender. `shared/models/manifest.json` describes their inputs, and
`docs/models.md` their origin and accuracy. Both runtimes, LiteRT here and TensorFlow in `tensorflow_nets`,
load the same files and share `inputs` and `combine`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from agegender.services.classify.quiet import without_greeting
from agegender.shared.errors import AgeGenderError
from agegender.shared.images.faces import CHIP_CONTEXT, CHIP_SIDE_PX
from agegender.shared.models import Net, NetInput, load_manifest, weights

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

Floats = NDArray[np.float32]
NETS = ("age_gender_a", "gender_b")
"""The nets used together, by their names in the manifest."""


class ChipsError(AgeGenderError, ValueError):
    """The chips have another shape or type than the nets read."""


class Predictions(NamedTuple):
    """The readings for N chips, in the order of the chips, not calibrated yet."""

    age_years: Floats
    """(N,), unbounded: the net is a regression and may read a little below 0."""
    male_logit: Floats
    """(N,): the logits of male minus those of female, summed over the nets. They are overconfident;
    `calibration` corrects them."""


class AgeGenderNets(Protocol):
    """The nets with a runtime that executes them. An instance serves one thread at a time."""

    name: str
    """The name of the nets in the manifest, the same for every runtime."""

    def open(self) -> None:
        """Imports the runtime and loads the weights.

        Raises:
            WeightsError: a file of weights is missing or damaged.
            MissingExtra: the runtime is not installed.
        """

    def predict(self, chips_bgr: NDArray[np.uint8]) -> Predictions:
        """The readings of N chips, (N, 160, 160, 3) uint8 in BGR, cut at context 1.5; N may be 0.

        Raises:
            ChipsError: the chips have another shape or type.
        """

    def close(self) -> None:
        """Frees the runtime. May be called more than once, and `open` may follow."""


class LiteRTNets:
    """The nets on a CPU through LiteRT.

    Chips are run one by one, because a batch gains nothing on a CPU. Two workers with one thread each do more
    than one worker with two threads.
    """

    def __init__(self, num_threads: int = 1) -> None:
        manifest = load_manifest()
        self.name = manifest.age_gender
        self._nets = [manifest.nets[name] for name in NETS]
        self._num_threads = num_threads
        self._interpreters: list[Interpreter] = []

    def open(self) -> None:
        """Imports LiteRT and loads the weights. Takes about 0.1 s.

        Raises:
            WeightsError: a file of weights is missing or damaged.
        """
        from ai_edge_litert.interpreter import Interpreter

        paths = [weights(name) for name in NETS]
        self._interpreters = [Interpreter(str(path), num_threads=self._num_threads) for path in paths]
        with without_greeting():
            for interpreter in self._interpreters:
                interpreter.allocate_tensors()

    def predict(self, chips_bgr: NDArray[np.uint8]) -> Predictions:
        """The readings of N chips, (N, 160, 160, 3) uint8 in BGR; N may be 0.

        Raises:
            ChipsError: the chips have another shape or type.
        """
        check_chips(chips_bgr)
        if not self._interpreters:
            raise RuntimeError("the nets are not open: call open() first")
        outputs = [
            _run(interpreter, inputs(chips_bgr, net.input), columns=len(net.outputs))
            for interpreter, net in zip(self._interpreters, self._nets, strict=True)
        ]
        return combine(self._nets, outputs)

    def close(self) -> None:
        """Frees the interpreters and their memory."""
        self._interpreters = []


def _run(interpreter: Interpreter, faces: Floats, columns: int) -> Floats:
    """The output of a net for each of `faces`, (N, columns)."""
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    outputs = np.empty((len(faces), columns), np.float32)
    for index in range(len(faces)):
        interpreter.set_tensor(source["index"], faces[index : index + 1])
        interpreter.invoke()
        outputs[index] = interpreter.get_tensor(sink["index"])[0]
    return outputs


def check_chips(chips_bgr: NDArray[np.uint8]) -> None:
    """Refuses chips that are not (N, 160, 160, 3) uint8.

    Raises:
        ChipsError: the chips have another shape or type.
    """
    expected = (CHIP_SIDE_PX, CHIP_SIDE_PX, 3)
    if chips_bgr.ndim != 4 or chips_bgr.shape[1:] != expected or chips_bgr.dtype != np.uint8:
        raise ChipsError(
            f"expected aligned chips of shape (N, {CHIP_SIDE_PX}, {CHIP_SIDE_PX}, 3) and type uint8, "
            f"got {chips_bgr.shape} and {chips_bgr.dtype}"
        )


def inputs(chips_bgr: NDArray[np.uint8], wanted: NetInput) -> Floats:
    """The input of a net: the centre of each chip, (N, side, side, 3) float32 RGB, normalised.

    The chip is scaled so that the part for the net is `side` pixels wide, averaging over areas. Then that
    part is cut out. For both nets this falls on whole pixels (160 to 160, and 160 to 48 pixels), so the face
    is not shifted by a fraction of a pixel.

    Raises:
        ValueError: the net does not read aligned faces.
    """
    if wanted.side_px is None or wanted.context is None:
        raise ValueError("this net does not read aligned faces")
    scaled_px = round(wanted.side_px * CHIP_CONTEXT / wanted.context)
    margin_px = (scaled_px - wanted.side_px) // 2
    centre = slice(margin_px, margin_px + wanted.side_px)
    mean = np.array((*wanted.mean, 0.0))  # OpenCV takes four values for "the same for each pixel"
    cut = np.empty((len(chips_bgr), wanted.side_px, wanted.side_px, 3), np.float32)
    for face, chip_bgr in zip(cut, chips_bgr, strict=True):
        if scaled_px != CHIP_SIDE_PX:
            chip_bgr = cv2.resize(chip_bgr, (scaled_px, scaled_px), interpolation=cv2.INTER_AREA)
        rgb = cv2.cvtColor(chip_bgr[centre, centre], cv2.COLOR_BGR2RGB)
        face[:] = cv2.subtract(rgb, mean, dtype=cv2.CV_32F)
    cut /= np.float32(wanted.divisor)
    return cut


def combine(nets: Sequence[Net], outputs: Sequence[Floats]) -> Predictions:
    """The readings from the outputs of the nets, one (N, columns) array for each net."""
    sums: dict[str, Floats] = defaultdict(lambda: np.zeros(len(outputs[0]), np.float32))
    for net, columns in zip(nets, outputs, strict=True):
        for meaning, column in zip(net.outputs, columns.T, strict=True):
            sums[meaning.name] = sums[meaning.name] + column
    return Predictions(sums["age_years"], sums["male_logit"] - sums["female_logit"])
