"""YuNet as a TensorFlow function, with the weights of the published ONNX file."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Tensor = Any
"""A TensorFlow tensor; TensorFlow ships no types."""

_BRANCHES = ("cls", "obj", "bbox", "kps")
"""The parts of a cell's answer, in the order of `agegender.services.detect.faces.decoding`."""
_BACKBONE = (
    "model0/conv2",
    *(f"model{stage}/conv{half}" for stage in range(1, 6) for half in (1, 2)),
)
_NECK = tuple(f"lateral{level}" for level in (2, 1, 0))
_HEADS = tuple(f"{branch}{level}" for branch in ("cls", "bbox", "obj", "kps") for level in range(3))


def read_yunet(content: bytes) -> dict[str, Floats]:
    """The kernels, (height, width, in, out), depthwise ones (3, 3, channels, 1), and biases.

    The file names only half of its tensors. So they are taken in the order of its convolutions: first the
    one that reads the picture, then pairs of a pointwise and a depthwise one.
    """
    onnx = importlib.import_module("onnx")
    graph = onnx.load_from_string(content).graph
    read: dict[str, Floats] = {
        tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer
    }
    pairs = [
        f"{unit}/{kind}" for unit in (*_BACKBONE, *_NECK, *_HEADS) for kind in ("pointwise", "depthwise")
    ]
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    tensors: dict[str, Floats] = {}
    for name, node in zip(("model0/conv1", *pairs), convolutions, strict=True):
        kernel = read[node.input[1]]
        is_depthwise = name.endswith("depthwise")
        tensors[f"{name}/kernel"] = (
            kernel.transpose(2, 3, 0, 1) if is_depthwise else kernel.transpose(2, 3, 1, 0)
        )
        tensors[f"{name}/bias"] = read[node.input[2]]
    return tensors


def yunet(tensors: Mapping[str, Floats]) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """YuNet: (1, height, width, 3) in BGR from 0 to 255 to three grids (1, rows, columns, 16).

    The sides are multiples of 32. The original has four pairs of convolutions for each grid, and a sigmoid
    behind the two for scores. Here one pair gives all four answers, and the sigmoid is left to the reader.
    The finer grids get what the coarser ones saw: each value four times, without an operation that depends
    on the size of the picture, so that LiteRT can run the net at any size.
    """
    import tensorflow as tf

    def pair(x: Tensor, weights: Mapping[str, Floats]) -> Tensor:
        x = tf.nn.conv2d(x, weights["pointwise/kernel"], 1, "SAME") + weights["pointwise/bias"]
        x = tf.nn.depthwise_conv2d(x, weights["depthwise/kernel"], [1, 1, 1, 1], "SAME")
        return x + weights["depthwise/bias"]

    def unit(x: Tensor, name: str) -> Tensor:
        parts = ("pointwise/kernel", "pointwise/bias", "depthwise/kernel", "depthwise/bias")
        return tf.nn.relu(pair(x, {part: tensors[f"{name}/{part}"] for part in parts}))

    def stage(x: Tensor, number: int) -> Tensor:
        return unit(unit(x, f"model{number}/conv1"), f"model{number}/conv2")

    def halved(x: Tensor) -> Tensor:
        return tf.nn.max_pool2d(x, 2, 2, "VALID")

    def doubled(x: Tensor) -> Tensor:
        return tf.nn.depth_to_space(tf.concat([x] * 4, axis=3), 2)

    def head(x: Tensor, level: int) -> Tensor:
        axes = {"pointwise/kernel": 3, "pointwise/bias": 0, "depthwise/kernel": 2, "depthwise/bias": 0}
        joined = {
            part: np.concatenate([tensors[f"{branch}{level}/{part}"] for branch in _BRANCHES], axis)
            for part, axis in axes.items()
        }
        return pair(x, joined)

    def graph(x: Tensor) -> tuple[Tensor, ...]:
        # TensorFlow's own padding adds nothing on the left of a picture with an even side.
        x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]])
        x = tf.nn.conv2d(x, tensors["model0/conv1/kernel"], 2, "VALID") + tensors["model0/conv1/bias"]
        x = halved(unit(tf.nn.relu(x), "model0/conv2"))
        x = halved(stage(stage(x, 1), 2))
        fine = stage(x, 3)
        middle = stage(halved(fine), 4)
        coarse = unit(stage(halved(middle), 5), "lateral2")
        middle = unit(middle + doubled(coarse), "lateral1")
        fine = unit(fine + doubled(middle), "lateral0")
        return tuple(head(x, level) for level, x in enumerate((fine, middle, coarse)))

    return graph
