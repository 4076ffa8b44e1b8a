"""Without its packages, or with an OpenCV that is too old, the program says what to run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agegender.shared.errors import AgeGenderError
from agegender.shared.images.opencv import check_opencv

_ROOT = Path(__file__).parents[2]
_PHOTO = _ROOT / "simulator" / "astronaut.jpg"
_SCRIPT = [str(_ROOT / "age_gender_detection.py"), str(_PHOTO)]
_MODULE = ["-m", "agegender", "analyze", str(_PHOTO)]


def _run(arguments: list[str], packages: Path) -> tuple[int, str]:
    """The exit status and standard error of a program that finds `packages` before all others."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=_ROOT,
        env={**os.environ, "PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


def _hide(packages: Path, name: str) -> None:
    (packages / f"{name}.py").write_text(f"raise ModuleNotFoundError(name={name!r})\n")


@pytest.mark.parametrize("program", [_SCRIPT, _MODULE], ids=["script", "module"])
@pytest.mark.parametrize("name", ["typer", "cv2", "pydantic"])
def test_a_missing_package_is_one_sentence(program: list[str], name: str, tmp_path: Path) -> None:
    _hide(tmp_path, name)
    status, said = _run(program, tmp_path)
    assert status == 2, said
    assert said == (
        f"agegender: the package '{name}' is not installed: run `pip install -r requirements/lean.txt`\n"
    )


@pytest.mark.parametrize("program", [_SCRIPT, _MODULE], ids=["script", "module"])
def test_opencv_4_over_opencv_5_is_one_sentence(program: list[str], tmp_path: Path) -> None:
    # What opencv-python 4 leaves: the old version's number, and no FontFace.
    (tmp_path / "sitecustomize.py").write_text("import cv2\ncv2.__version__ = '4.12.0'\ndel cv2.FontFace\n")
    status, said = _run(program, tmp_path)
    assert status == 2, said
    assert said.startswith("agegender: expected OpenCV 5 or newer, got 4.12.0")
    assert said.count("\n") == 1


@pytest.mark.parametrize("version", ["4.12.0", "unknown", ""])
def test_an_old_or_unknown_opencv_is_refused(version: str) -> None:
    with pytest.raises(AgeGenderError, match="pip uninstall"):
        check_opencv(version)


def test_a_newer_opencv_is_accepted() -> None:
    check_opencv("6.1.0")
