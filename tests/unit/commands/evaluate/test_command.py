"""`agegender evaluate` on a small folder, through the real stages."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from agegender.cli import app
from agegender.commands.evaluate.dataset import DatasetError
from agegender.shared.errors import AgeGenderError
from agegender.simulator.content.scenes import ASTRONAUT


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """The astronaut, small, tiny and off the middle beside a larger face; a wall, and two broken files."""
    folder = tmp_path / "people and ünlabelled"
    folder.mkdir()
    astronaut = np.asarray(cv2.imread(str(ASTRONAUT)), np.uint8)
    wall = np.full((200, 300, 3), 120, np.uint8)
    tiny = np.full((400, 400, 3), 120, np.uint8)
    small = cv2.resize(astronaut, None, fx=0.19, fy=0.19, interpolation=cv2.INTER_AREA)
    tiny[150 : 150 + small.shape[0], 150 : 150 + small.shape[1]] = small
    for name, picture in (
        ("a.png", astronaut),
        ("b ö.png", astronaut[:, ::-1]),
        ("tiny.png", tiny),
        ("wall.png", wall),
    ):
        assert cv2.imwrite(str(folder / name), picture)
    (folder / "broken.jpg").write_bytes(b"no picture")
    rows = ["a.png,30,39,female", "b ö.png,30,39,female", "tiny.png,30,39,female", "wall.png,70,,male"]
    rows += ["broken.jpg,20,29,male", "missing.jpg,20,29,male"]
    (folder / "labels.csv").write_text(
        "\n".join(["file,age_low,age_high,gender", *rows]) + "\n", encoding="utf-8"
    )
    return folder


def test_a_folder_is_judged_to_its_end_and_reported(dataset: Path, tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["evaluate", str(dataset), "--json", "--output", str(tmp_path / "out")])
    assert ran.exit_code == 0, ran.output
    found = json.loads(ran.stdout)
    assert (found["pictures"], found["missed"]) == (6, 1)
    assert found["unclassified"] == {"too-small": 1}
    assert sorted(Path(file).name for file in found["unreadable"]) == ["broken.jpg", "missing.jpg"]
    assert (found["overall"]["faces"], found["overall"]["classified"]) == (3, 2)
    assert found["overall"]["age_error_years"] < 10
    assert found["overall"]["likelier_right"] == 1
    assert found["by_size"]["under 24 px"]["faces"] == 1
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "6 pictures: 2 faces classified, 1 too-small, 1 without a face, 2 not readable" in report
    assert (tmp_path / "out" / "confusion.svg").exists()


def test_the_person_of_a_label_is_the_one_in_the_middle(tmp_path: Path) -> None:
    astronaut = np.asarray(cv2.imread(str(ASTRONAUT)), np.uint8)
    group = np.full((400, 1_000, 3), 120, np.uint8)
    head = astronaut[14:214, 124:324]
    group[100:300, 400:600] = head  # the face at 48 % of the width
    half = cv2.resize(head, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    group[100:200, 0:100], group[100:200, 900:1_000] = half, half
    assert cv2.imwrite(str(tmp_path / "34_1_0_1.png"), group)
    ran = CliRunner().invoke(app, ["evaluate", str(tmp_path), "--json"])
    assert ran.exit_code == 0, ran.output
    assert list(json.loads(ran.stdout)["by_size"]) == ["96+ px"]


def test_without_options_a_table_is_printed_and_nothing_written(dataset: Path) -> None:
    before = sorted(dataset.parent.rglob("*"))
    ran = CliRunner().invoke(app, ["evaluate", str(dataset)])
    assert ran.exit_code == 0, ran.output
    assert "women from 10" in ran.stdout
    assert "broken.jpg" in ran.stdout
    assert sorted(dataset.parent.rglob("*")) == before


def test_a_folder_without_labels_is_an_error_of_ours(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["evaluate", str(tmp_path)])
    assert isinstance(ran.exception, DatasetError)


def test_an_output_that_cannot_be_written_is_named(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = CliRunner().invoke(app, ["evaluate", str(dataset), "--output", str(tmp_path / "file")])
    assert isinstance(ran.exception, AgeGenderError)
    assert "cannot write to" in str(ran.exception)
