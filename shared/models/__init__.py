"""The weights that ship with the project, and their manifest.

`docs/models.md` has their origins, licences and accuracy. `tools/rebuild_weights.py` rebuilds the nets,
`tools/packs/fit_head.py` the heads, and `tools/packs/calibrate.py` the calibrations.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agegender.shared.errors import AgeGenderError

FOLDER = Path(__file__).parent
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
PackName = Literal["default", "open", "fast"]
"""The packs that `CLASSIFY_NETS` chooses from."""


class WeightsError(AgeGenderError):
    """A file of weights is unknown, missing or damaged. The text says what to do."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PackageFile(_Frozen):
    """One file of a published package, by its path in the package."""

    path: str
    sha256: Sha256


class PackageOrigin(_Frozen):
    """The published package that a net comes from."""

    registry: Literal["pypi", "npm"]
    package: str
    version: str
    archive_sha256: Sha256
    files: tuple[PackageFile, ...]


class NetInput(_Frozen):
    """The input of a net: (N, side, side, 3) in `colour_order`, with (x - mean) / divisor for x from 0 to
    255."""

    side_px: Annotated[int, Field(gt=0)] | None
    """The side of the square input; None when the net reads one picture with sides of any multiple of 32."""
    colour_order: Literal["RGB", "BGR"]
    mean: tuple[float, float, float]
    """In `colour_order`."""
    divisor: Annotated[float, Field(gt=0)]
    context: Annotated[float, Field(gt=0)] | None
    """The side of the input in sides of the landmark template's square; None when faces are not aligned."""


class NetOutput(_Frozen):
    """One or more columns of the output, in order. The three outputs of YuNet have the same columns."""

    name: str
    meaning: str
    columns: Annotated[int, Field(gt=0)] = 1
    """How many columns of the tensor hold it."""


class Net(_Frozen):
    """One file of weights."""

    task: str
    file: str
    format: Literal["onnx", "tflite"]
    precision: Literal["float32", "float16", "int8"]
    """The type of the stored weights. LiteRT computes in int8 with the last, and else in float32."""
    runtimes: tuple[str, ...]
    size_bytes: Annotated[int, Field(gt=0)]
    sha256: Sha256
    input: NetInput
    outputs: tuple[NetOutput, ...]
    licence: str
    """SPDX identifier. The full notice is in NOTICES.md."""
    origin: PackageOrigin


class StoredFile(_Frozen):
    """A file of this folder that is no net."""

    file: str
    size_bytes: Annotated[int, Field(gt=0)]
    sha256: Sha256


class FittedOn(_Frozen):
    """One set of labelled faces that a file was fitted to."""

    dataset: str
    terms: str
    """Under which terms the faces are published."""
    labels_sha256: Sha256
    faces: Annotated[int, Field(gt=0)]


class FittedFile(StoredFile):
    """A head, or the file of `services/classify/calibration.py`."""

    fitted_on: tuple[FittedOn, ...]


class Pack(_Frozen):
    """Nets that are used together, their head and their calibration."""

    name: str
    """Results contain it. The number in it grows with every change that changes answers."""
    nets: tuple[str, ...]
    mirrored: tuple[str, ...]
    """The nets that classify the mirror image of each chip too (flip augmentation)."""
    head: FittedFile
    calibration: FittedFile


class Manifest(_Frozen):
    """The contents of this folder."""

    built_with: str
    """The converter that wrote the `tflite` files. Another release may write other bytes for the same net."""
    nets: dict[str, Net]
    packs: dict[PackName, Pack]


def load_manifest() -> Manifest:
    """Reads `manifest.json`.

    Raises:
        WeightsError: it is missing or does not have the expected form.
    """
    try:
        return Manifest.model_validate_json((FOLDER / "manifest.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise WeightsError(f"cannot read the manifest of the weights: {error}") from error


def weights(name: str) -> Path:
    """The file of the net `name`, after its checksum was verified.

    Raises:
        WeightsError: there is no net of that name, or its file is missing or damaged.
    """
    nets = load_manifest().nets
    if name not in nets:
        raise WeightsError(f"expected one of the nets {', '.join(nets)}, got {name!r}")
    return _checked(
        f"the weights of {name}",
        nets[name].file,
        nets[name].sha256,
        "python -m tools.rebuild_weights --write",
    )


def head_file(pack: PackName) -> Path:
    """The file of the head of `pack`, after its checksum was verified.

    Raises:
        WeightsError: it is missing or damaged.
    """
    stored = load_manifest().packs[pack].head
    return _checked(f"the head of {pack}", stored.file, stored.sha256, "python -m tools.packs.fit_head")


def calibration_file(pack: PackName) -> Path:
    """The file of the calibration of `pack`, after its checksum was verified.

    Raises:
        WeightsError: it is missing or damaged.
    """
    stored = load_manifest().packs[pack].calibration
    made_by = "python -m tools.packs.calibrate"
    return _checked(f"the calibration of {pack}", stored.file, stored.sha256, made_by)


class _GenderThreshold(BaseModel):
    """The part of the calibration that is needed to sum up the votes of a track."""

    unknown_below: Annotated[float, Field(ge=0.5, lt=1)]


@functools.cache
def gender_threshold() -> float:
    """`unknown_below` of every pack: a gender with a lower probability is `unknown`. Read once.

    Raises:
        WeightsError: the calibration is missing or damaged.
    """
    try:
        return _GenderThreshold.model_validate_json(calibration_file("default").read_bytes()).unknown_below
    except ValidationError as error:
        raise WeightsError(f"cannot read the calibration of the nets: {error}") from error


def _checked(what: str, file: str, sha256: str, made_by: str) -> Path:
    path = FOLDER / file
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise WeightsError(f"the file of {what} cannot be read: {error}; install again") from error
    if found != sha256:
        raise WeightsError(
            f"the file of {what}, {path}, is damaged: expected sha256 {sha256}, got {found}; "
            f"install again, or run `{made_by}` in a checkout"
        )
    return path
