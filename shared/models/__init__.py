"""The weights that ship with the project, and what `manifest.json` says about each.

Origins, licences and accuracy are in `docs/models.md`; `tools/rebuild_weights.py` rebuilds every file.
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


class WeightsError(AgeGenderError):
    """Weights are unknown, missing or not the bytes that the manifest names. The text says what to do."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OriginFile(_Frozen):
    """One file inside a published package, by its path there."""

    path: str
    sha256: Sha256


class Origin(_Frozen):
    """The published package that a net comes from."""

    registry: Literal["pypi", "npm"]
    package: str
    version: str
    archive_sha256: Sha256
    files: tuple[OriginFile, ...]


class NetInput(_Frozen):
    """What a net reads: (N, side, side, 3) in `colour_order`, (x - mean) / divisor of each 0 to 255."""

    side_px: Annotated[int, Field(gt=0)] | None
    """Side of the square input; None where the net reads pictures of any size."""
    colour_order: Literal["RGB", "BGR"]
    mean: tuple[float, float, float]
    """In `colour_order`."""
    divisor: Annotated[float, Field(gt=0)]
    context: Annotated[float, Field(gt=0)] | None
    """How much more than the landmark template's own square the input shows; None if nothing is aligned."""


class NetOutput(_Frozen):
    """One output: a column of the net's output tensor, in order, or for YuNet one part of a detection."""

    name: str
    meaning: str


class Net(_Frozen):
    """One file of weights."""

    task: str
    file: str
    format: Literal["onnx", "tflite"]
    precision: Literal["float32", "float16"]
    """How the weights are stored; every net computes in float32."""
    runtimes: tuple[str, ...]
    size_bytes: Annotated[int, Field(gt=0)]
    sha256: Sha256
    input: NetInput
    outputs: tuple[NetOutput, ...]
    licence: str
    """SPDX identifier; the notice itself is in NOTICES.md."""
    origin: Origin


class CalibrationFile(_Frozen):
    """The file that says what the readings of the nets are worth; it names its own origin."""

    file: str
    size_bytes: Annotated[int, Field(gt=0)]
    sha256: Sha256


class Manifest(_Frozen):
    """Everything in this folder."""

    age_gender: str
    """One name for the nets that classify age and gender together; results carry it."""
    built_with: str
    """The converter that wrote the `tflite` files; another release may write other bytes for the same net."""
    nets: dict[str, Net]
    calibration: CalibrationFile


def load_manifest() -> Manifest:
    """Read `manifest.json`.

    Raises:
        WeightsError: it is missing or does not describe nets in the expected form.
    """
    try:
        return Manifest.model_validate_json((FOLDER / "manifest.json").read_bytes())
    except (OSError, ValidationError) as error:
        raise WeightsError(f"cannot read the manifest of the weights: {error}") from error


def weights(name: str) -> Path:
    """The file of the net called `name` in the manifest, once its bytes are known to be the right ones.

    Raises:
        WeightsError: no net has that name, or its file is missing or damaged.
    """
    nets = load_manifest().nets
    if name not in nets:
        raise WeightsError(f"no net is called {name!r}; expected one of {', '.join(nets)}")
    return _checked(
        f"the weights of {name}",
        nets[name].file,
        nets[name].sha256,
        "python -m tools.rebuild_weights --write",
    )


def calibration_file() -> Path:
    """The file that `services/classify/calibration.py` reads, once its bytes are known to be the right ones.

    Raises:
        WeightsError: it is missing or damaged.
    """
    stored = load_manifest().calibration
    made_by = "python -m tools.calibrate DATASET --write"
    return _checked("the calibration", stored.file, stored.sha256, made_by)


class _GenderThreshold(BaseModel):
    """The one number of the calibration that concerns whoever sums up several faces."""

    unknown_below: Annotated[float, Field(ge=0.5, lt=1)]


@functools.cache
def gender_threshold() -> float:
    """The calibration's `unknown_below`: a gender that is less likely is not named. Read once.

    Raises:
        WeightsError: the calibration is missing or damaged.
    """
    try:
        return _GenderThreshold.model_validate_json(calibration_file().read_bytes()).unknown_below
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
