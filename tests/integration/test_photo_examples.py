"""The examples with photos in README.md and docs/analyze.md run as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests.support.faces import astronaut, portraits, write_frames

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/analyze.md")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.DOTALL | re.MULTILINE)


def photo_commands(page: str) -> list[list[str]]:
    """The lines that run the script on files, without their comments."""
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    scripts = [
        line for line in lines if line.startswith("python age_gender_detection.py") and "<" not in line
    ]
    return [words for line in scripts if "--camera" not in (words := shlex.split(line, comments=True))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with all files that the examples name."""
    (tmp_path / "holiday").mkdir()
    for name in ("photo.jpg", "holiday.jpg", "holiday/beach.jpg"):
        cv2.imwrite(str(tmp_path / name), astronaut())
    write_frames(tmp_path / "clip.mp4", [(portraits(1), index / 5) for index in range(5)])
    return tmp_path


def run(words: list[str], folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", PAGES)
def test_the_commands_run(page: str, folder: Path) -> None:
    commands = photo_commands(page)
    assert len(commands) >= 3
    for _, script, *arguments in commands:
        run([sys.executable, str(ROOT / script), *arguments], folder)
    assert (folder / "faces.csv").stat().st_size > 0
    assert len([*(folder / "copies").rglob("*.mp4")]) == 1


@pytest.mark.parametrize("page", PAGES)
def test_the_python_runs_and_finds_faces(page: str, folder: Path) -> None:
    (code,) = blocks(page, "python")
    photo, person, *batch = run([sys.executable, "-c", code], folder).splitlines()
    assert " female " in photo
    assert person.startswith("1 0.0 ")
    assert batch == ["1", "1"]
