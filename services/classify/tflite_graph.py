"""Reads the layers and constants of a LiteRT file, without running it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Options = Any
"""An options object of LiteRT's schema, which ships no types; None where a layer has no options."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One operation. It reads some tensors and writes one, by their numbers."""

    kind: str
    """The operation's name in LiteRT's schema, such as CONV_2D."""
    reads: tuple[int, ...]
    writes: int
    options: Options


@dataclass(frozen=True, slots=True)
class Graph:
    """The layers in the order they run, and the constant tensors by their numbers.

    Constants stored as integers with a scale are turned into the float32 values that they stand for.
    """

    source: int
    sink: int
    layers: tuple[Layer, ...]
    constants: dict[int, NDArray[Any]]


def read_graph(path: Path) -> Graph:
    """Reads a file with one graph, one input and one output.

    The format is a flatbuffer, described at
    https://github.com/google-ai-edge/LiteRT/blob/main/tflite/converter/schema/schema.fbs.
    """
    from ai_edge_litert import schema_py_generated as schema

    types = {
        schema.TensorType.FLOAT32: np.float32,
        schema.TensorType.FLOAT16: np.float16,
        schema.TensorType.INT32: np.int32,
        schema.TensorType.INT8: np.int8,
    }
    kinds = {code: kind for kind, code in vars(schema.BuiltinOperator).items() if not kind.startswith("_")}
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph = model.subgraphs[0]
    constants = {}
    for number, tensor in enumerate(graph.tensors):
        data = model.buffers[tensor.buffer].data
        if data is not None:
            stored = data.view(types[tensor.type]).reshape(tensor.shape)
            constants[number] = _real_values(stored, tensor.quantization)
    layers = []
    for operator in graph.operators:
        kind = kinds[model.operatorCodes[operator.opcodeIndex].builtinCode]
        layers.append(Layer(kind, tuple(operator.inputs), operator.outputs[0], operator.builtinOptions))
    return Graph(graph.inputs[0], graph.outputs[0], tuple(layers), constants)


def _real_values(stored: NDArray[Any], quantization: Options) -> NDArray[Any]:
    """The values that `stored` stands for: scale * (q - zero point), one scale for each slice of an axis."""
    if quantization is None or quantization.scale is None:
        return stored
    shape = [1] * stored.ndim
    shape[quantization.quantizedDimension] = -1
    scale, zero_point = (np.reshape(values, shape) for values in (quantization.scale, quantization.zeroPoint))
    return np.asarray((stored - zero_point) * scale, np.float32)
