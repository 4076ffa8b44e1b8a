"""The nets on a GPU, through TensorFlow. No other module of the services imports TensorFlow.

There is one copy of the weights, the LiteRT files. Each of their layers is computed by the TensorFlow
operation with the same meaning. Weights stored as float16 become float32 first, as in LiteRT. Weights stored
as int8 become float32 too, and all between them is computed in float32, which LiteRT rounds to int8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from agegender.services.classify.head import Floats
from agegender.services.classify.nets import PackedNets, View, check_chips, inputs
from agegender.services.classify.tflite_graph import Graph, Layer, read_graph
from agegender.shared.errors import AgeGenderError, MissingExtra
from agegender.shared.models import PackName, load_manifest, weights

Tensor = Any
"""A TensorFlow tensor; TensorFlow ships no types."""
CompiledNets = Callable[..., tuple[Tensor, ...]]


class NoGpu(AgeGenderError):
    """A GPU is required, and TensorFlow finds or uses none."""


def tensorflow_nets(
    pack: PackName = "default",
    device: Literal["gpu", "cpu"] = "gpu",
    batch_sizes: Sequence[int] = (8, 32, 128),
) -> PackedNets:
    """The nets of `pack` on a GPU, or on a CPU for comparison."""
    return PackedNets(pack, lambda wanted: TensorFlow(wanted, device, batch_sizes))


class TensorFlow:
    """Runs nets on a GPU, or on a CPU for comparison, in batches of a few fixed sizes.

    Each batch size is compiled once, in `open`. N chips run in the smallest batch that holds them, padded
    with zeros. More chips than the largest size take several batches.
    """

    def __init__(
        self,
        wanted: Sequence[View],
        device: Literal["gpu", "cpu"] = "gpu",
        batch_sizes: Sequence[int] = (8, 32, 128),
    ) -> None:
        if not batch_sizes or min(batch_sizes) < 1:
            raise ValueError(f"expected batch sizes of 1 or more, got {tuple(batch_sizes)}")
        nets = load_manifest().nets
        self._views = wanted
        self._inputs = [nets[view.net].input for view in wanted]
        self._device = f"{device.upper()}:0"
        self._batch_sizes = sorted(batch_sizes)
        self._runs: dict[int, CompiledNets] = {}

    def open(self) -> None:
        """Imports TensorFlow, loads the weights, and runs each batch size once. Takes several seconds.

        Raises:
            MissingExtra: TensorFlow is not installed.
            NoGpu: a GPU is required, and TensorFlow finds or uses none.
            WeightsError: a file of weights is missing or damaged.
        """
        try:
            import tensorflow as tf
        except ModuleNotFoundError as error:
            raise MissingExtra("tensorflow", "tensorflow", "running the nets on a GPU") from error
        _prepare_gpus(tf, required=self._device.startswith("GPU"))
        graphs = {name: read_graph(weights(name)) for name in {view.net for view in self._views}}

        def classify(*faces: Tensor) -> tuple[Tensor, ...]:
            return tuple(_replay(tf, graphs[view.net], x) for view, x in zip(self._views, faces, strict=True))

        compiled = tf.function(classify, autograph=False)
        runs: dict[int, CompiledNets] = {}
        for size in self._batch_sizes:
            shapes = [(size, wanted.side_px, wanted.side_px, 3) for wanted in self._inputs]
            with tf.device(self._device):
                runs[size] = compiled.get_concrete_function(*(tf.TensorSpec(s, tf.float32) for s in shapes))
            self.check_device(runs[size](*(tf.zeros(shape) for shape in shapes)))
        self._runs = runs

    def check_device(self, outputs: tuple[Tensor, ...]) -> None:
        """Refuses `outputs` that were computed on another device.

        Raises:
            NoGpu: TensorFlow placed them elsewhere.
        """
        for output in outputs:
            if not output.device.endswith(self._device):
                raise NoGpu(
                    f"expected the nets to run on {self._device}, and TensorFlow ran them on {output.device}"
                )

    def outputs(self, chips_bgr: NDArray[np.uint8]) -> Sequence[Floats]:
        """The outputs of each view; see `Runtime.outputs`."""
        check_chips(chips_bgr)
        if not self._runs:
            raise RuntimeError("the nets are not open: call open() first")
        largest = self._batch_sizes[-1]
        starts = range(0, max(len(chips_bgr), 1), largest)
        parts = [self._batch(chips_bgr[start : start + largest]) for start in starts]
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def _batch(self, chips_bgr: NDArray[np.uint8]) -> list[Floats]:
        """The outputs of each view, (N, columns), for at most the largest batch."""
        count = len(chips_bgr)
        size = next(size for size in self._batch_sizes if size >= count)
        filled = ((0, size - count), (0, 0), (0, 0), (0, 0))
        faces = [
            np.pad(inputs(chips_bgr, wanted, mirrored=view.mirrored), filled)
            for view, wanted in zip(self._views, self._inputs, strict=True)
        ]
        return [output.numpy()[:count] for output in self._runs[size](*faces)]

    def close(self) -> None:
        """Frees the compiled nets. TensorFlow itself stays loaded until the process ends."""
        self._runs = {}


def _prepare_gpus(tf: ModuleType, *, required: bool) -> None:
    gpus = tf.config.list_physical_devices("GPU")
    if required and not gpus:
        raise NoGpu(
            f"expected a GPU, and TensorFlow {tf.__version__} finds none: check that `nvidia-smi` lists one "
            "and that `tensorflow[and-cuda]` is installed, or set CLASSIFY_DEVICE=cpu"
        )
    for gpu in gpus:
        # By default TensorFlow takes all memory of the GPU, and a second worker gets none.
        tf.config.experimental.set_memory_growth(gpu, True)
    # TF32 would make the answers of a GPU differ from those of a CPU. It does not speed up
    # nets this small.
    tf.config.experimental.enable_tensor_float_32_execution(False)


def _replay(tf: ModuleType, graph: Graph, faces: Tensor) -> Tensor:
    """The output of `graph` for `faces`, (N, columns)."""
    tensors: dict[int, Tensor] = {**graph.constants, graph.source: faces}
    for layer in graph.layers:
        output = _computed(tf, layer, [tensors[number] for number in layer.reads])
        # LiteRT fuses activations into layers: 0 is none, 1 is ReLU, 3 is ReLU6. These nets have no others.
        fused = getattr(layer.options, "fusedActivationFunction", 0)
        tensors[layer.writes] = {1: tf.nn.relu, 3: tf.nn.relu6}[fused](output) if fused else output
    return tensors[graph.sink]


def _computed(tf: ModuleType, layer: Layer, read: list[Tensor]) -> Tensor:
    """The output of `layer` for the tensors it reads.

    LiteRT stores kernels as (out, height, width, in), and depthwise ones as (1, height, width, channels).
    TensorFlow expects (height, width, in, out) and (height, width, channels, 1). The same transposition fits
    both.
    """
    x, options = read[0], layer.options
    match layer.kind:
        case "QUANTIZE":
            return x
        case "DEQUANTIZE":  # of float16 weights, or of the int8 outputs that are float32 here
            return x.astype(np.float32) if isinstance(x, np.ndarray) else x
        case "ADD":
            return x + read[1]
        case "RELU":
            return tf.nn.relu(x)
        case "MEAN":
            return tf.reduce_mean(x, read[1], keepdims=options.keepDims)
        case "RESHAPE":
            return tf.reshape(x, read[1])
        case "FULLY_CONNECTED":
            return x @ read[1].T + read[2]
    strides, padding = [options.strideH, options.strideW], "VALID" if options.padding else "SAME"
    match layer.kind:
        case "CONV_2D":
            return tf.nn.conv2d(x, read[1].transpose(1, 2, 3, 0), strides, padding) + read[2]
        case "DEPTHWISE_CONV_2D":
            return (
                tf.nn.depthwise_conv2d(x, read[1].transpose(1, 2, 3, 0), [1, *strides, 1], padding) + read[2]
            )
        case "MAX_POOL_2D":
            return tf.nn.max_pool2d(x, [options.filterHeight, options.filterWidth], strides, padding)
        case "AVERAGE_POOL_2D":
            return tf.nn.avg_pool2d(x, [options.filterHeight, options.filterWidth], strides, padding)
    raise ValueError(f"expected a layer that has a TensorFlow operation here, got {layer.kind}")
