"""The nets that read age and gender from chips, and their runtime on a CPU.

`shared/models/manifest.json` describes the inputs of the nets and the packs that use them together.
`docs/models.md` has their origin and accuracy. Both runtimes, LiteRT here and TensorFlow in
`tensorflow_nets`, load the same files. They share `inputs` and `PackedNets`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from agegender.services.classify.head import Floats, Head, Predictions, Readings, load_head
from agegender.shared.errors import AgeGenderError
from agegender.shared.images.faces import CHIP_CONTEXT, CHIP_SIDE_PX
from agegender.shared.models import Manifest, NetInput, Pack, PackName, load_manifest, weights
from agegender.shared.models.litert import open_net

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

NET_A, NET_B, NET_C = "age_gender_a", "gender_b", "face_features_c"
"""The nets that read chips, by their names in the manifest."""

ColumnNames = Mapping[str, Sequence[str]]
"""The columns of the outputs of nets, by the names of the nets."""


class ChipsError(AgeGenderError, ValueError):
    """The chips have another shape or type than the nets read."""


class View(NamedTuple):
    """One run of one net for each chip."""

    net: str
    mirrored: bool
    """Whether the net sees the mirror image of the chip."""


class AgeGenderNets(Protocol):
    """The nets with a runtime that executes them. An instance serves one thread at a time."""

    name: str
    """The name of the pack in results, the same for every runtime."""

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


class Runtime(Protocol):
    """Executes some views. An instance serves one thread at a time."""

    def open(self) -> None:
        """Imports the runtime and loads the weights; see `AgeGenderNets.open`."""

    def outputs(self, chips_bgr: NDArray[np.uint8]) -> Sequence[Floats]:
        """The outputs of each view for N chips, (N, columns) each.

        Raises:
            ChipsError: the chips have another shape or type.
        """

    def close(self) -> None:
        """Frees the runtime; see `AgeGenderNets.close`."""


class PackedNets:
    """The nets and the head of one pack, on a runtime. See `AgeGenderNets`."""

    def __init__(self, pack: PackName, runtime: Callable[[Sequence[View]], Runtime]) -> None:
        manifest = load_manifest()
        described = manifest.packs[pack]
        self.name = described.name
        self._pack: PackName = pack
        self._views = views(described)
        self._columns = column_names(manifest)
        self._runtime = runtime(self._views)
        self._head: Head | None = None

    def open(self) -> None:
        """Loads the head and the nets; see `AgeGenderNets.open`."""
        self._runtime.open()
        self._head = load_head(self._pack)

    def predict(self, chips_bgr: NDArray[np.uint8]) -> Predictions:
        """The readings of N chips; see `AgeGenderNets.predict`."""
        check_chips(chips_bgr)
        if self._head is None:
            raise RuntimeError("the nets are not open: call open() first")
        return self._head.predict(combine(self._views, self._runtime.outputs(chips_bgr), self._columns))

    def close(self) -> None:
        """Frees the nets and the head."""
        self._runtime.close()
        self._head = None


def litert_nets(pack: PackName = "default", threads: int = 1) -> PackedNets:
    """The nets of `pack` on a CPU.

    Two workers with one thread each do more than one worker with two threads.
    """
    return PackedNets(pack, lambda wanted: LiteRT(wanted, threads))


class LiteRT:
    """Runs nets on a CPU through LiteRT, chip by chip: a batch gains nothing on a CPU."""

    def __init__(self, wanted: Sequence[View], threads: int = 1) -> None:
        manifest = load_manifest()
        self._views = wanted
        self._nets = {view.net: manifest.nets[view.net] for view in wanted}
        self._threads = threads
        self._interpreters: dict[str, Interpreter] = {}

    def open(self) -> None:
        """Imports LiteRT and loads the weights. Takes about 0.1 s.

        Raises:
            WeightsError: a file of weights is missing or damaged.
        """
        paths = {name: weights(name) for name in self._nets}
        self._interpreters = {name: open_net(path, self._threads) for name, path in paths.items()}

    def outputs(self, chips_bgr: NDArray[np.uint8]) -> Sequence[Floats]:
        """The outputs of each view; see `Runtime.outputs`."""
        check_chips(chips_bgr)
        if not self._interpreters:
            raise RuntimeError("the nets are not open: call open() first")
        return [
            _run(self._interpreters[net], inputs(chips_bgr, self._nets[net].input, mirrored=mirrored))
            for net, mirrored in self._views
        ]

    def close(self) -> None:
        """Frees the interpreters and their memory."""
        self._interpreters = {}


def _run(interpreter: Interpreter, faces: Floats) -> Floats:
    """The output of a net for each of `faces`, (N, columns)."""
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    outputs = np.empty((len(faces), sink["shape"][-1]), np.float32)
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


def views(pack: Pack) -> Sequence[View]:
    """What a pack runs for each chip: each net as it is, and some nets mirrored."""
    return [
        View(net, mirrored)
        for net in pack.nets
        for mirrored in ((False, True) if net in pack.mirrored else (False,))
    ]


def inputs(chips_bgr: NDArray[np.uint8], wanted: NetInput, *, mirrored: bool = False) -> Floats:
    """The input of a net: the centre of each chip, (N, side, side, 3) float32, normalised.

    The chip is scaled so that the part for the net is `side` pixels wide: averaging over areas to a smaller
    size, linear between pixels to a larger one. Then that part is cut out. For nets A and B this falls on
    whole pixels (160 to 160, and 160 to 48 pixels), so the face is not shifted by a fraction of a pixel.

    Args:
        wanted: what the net reads.
        mirrored: take the mirror image of each chip.

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
            how = cv2.INTER_AREA if scaled_px < CHIP_SIDE_PX else cv2.INTER_LINEAR
            chip_bgr = cv2.resize(chip_bgr, (scaled_px, scaled_px), interpolation=how)
        part = chip_bgr[centre, centre]
        if wanted.colour_order == "RGB":
            part = cv2.cvtColor(part, cv2.COLOR_BGR2RGB)
        if mirrored:
            part = cv2.flip(part, 1)
        face[:] = cv2.subtract(part, mean, dtype=cv2.CV_32F)
    if wanted.divisor != 1:
        cut /= np.float32(wanted.divisor)
    return cut


def column_names(manifest: Manifest) -> ColumnNames:
    """The names of the columns of each net's output, in their order."""
    return {name: [output.name for output in net.outputs] for name, net in manifest.nets.items()}


def combine(run: Sequence[View], outputs: Sequence[Floats], names: ColumnNames) -> Readings:
    """What the nets read, from the outputs of each view: means over the views of a net."""
    means = {
        net: np.mean(
            [output for view, output in zip(run, outputs, strict=True) if view.net == net], axis=0
        ).astype(np.float32)
        for net in {view.net for view in run}
    }

    def column(net: str, name: str) -> Floats:
        values: Floats = means[net][:, names[net].index(name)]
        return values

    def logit(net: str) -> Floats:
        return column(net, "male_logit") - column(net, "female_logit")

    nothing = np.zeros(len(outputs[0]), np.float32)
    return Readings(
        age_a_years=column(NET_A, "age_years") if NET_A in means else nothing + np.float32(np.nan),
        logit_a=logit(NET_A) if NET_A in means else nothing,
        logit_b=logit(NET_B) if NET_B in means else nothing,
        features_c=means[NET_C],
    )
