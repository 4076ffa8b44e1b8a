"""`agegender evaluate` on a small folder, through the real stages."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from age_gender_detection import analyze_image
from agegender.cli import app
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


def test_a_folder_is_classified_to_its_end_and_reported(dataset: Path, tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["evaluate", str(dataset), "--json", "--output", str(tmp_path / "out")])
    assert ran.exit_code == 1, "two pictures cannot be read"
    told = json.loads(ran.stdout)
    assert (told["comparison"], told["dataset"]) == (None, "people and ünlabelled")
    (found,) = told["evaluations"]
    assert found["name"] == "default-1"
    assert (found["pictures"], found["missed"]) == (6, 1)
    assert found["unclassified"] == {"too-small": 1}
    assert sorted(found["unreadable"]) == ["broken.jpg", "missing.jpg"]
    assert (found["overall"]["faces"], found["overall"]["classified"]) == (3, 2)
    assert found["overall"]["age_error_years"]["value"] < 10
    assert found["overall"]["likelier_right"]["value"] == 1
    assert found["groups"]["face height"]["under 24 px"]["faces"] == 1
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "6 pictures: 2 faces classified, 1 too-small, 1 without a face, 2 not readable" in report
    assert (tmp_path / "out" / "ages.svg").exists()
    assert str(tmp_path) not in report
    assert "- missing.jpg: cannot read 'missing.jpg': No such file or directory" in report


def test_packs_and_earlier_answers_are_compared(dataset: Path, tmp_path: Path) -> None:
    output = ["--output", str(tmp_path / "old")]
    CliRunner().invoke(app, ["evaluate", str(dataset), *output], env={"CLASSIFY_NETS": "fast"})
    answers = str(tmp_path / "old" / "answers.csv")
    ran = CliRunner().invoke(app, ["evaluate", str(dataset), "--compare", answers, "default", "--json"])
    assert ran.exit_code == 1, ran.output
    told = json.loads(ran.stdout)
    assert [one["name"] for one in told["evaluations"]] == ["old/answers.csv", "default-1"]
    earlier = told["comparison"]["overall"]
    ran = CliRunner().invoke(app, ["evaluate", str(dataset), "--compare", "fast", "default", "--json"])
    assert json.loads(ran.stdout)["comparison"]["overall"] == earlier
    assert earlier["age_error_years"]["a"] != earlier["age_error_years"]["b"]


def test_a_pack_that_does_not_exist_is_named(dataset: Path) -> None:
    ran = CliRunner().invoke(app, ["evaluate", str(dataset), "--compare", "default", "slow"])
    assert isinstance(ran.exception, AgeGenderError)
    assert "no table of answers 'slow': expected default, open, fast" in str(ran.exception)


def test_pictures_are_searched_as_by_analyze(tmp_path: Path) -> None:
    large = np.full((1_200, 1_600, 3), 120, np.uint8)
    astronaut = np.asarray(cv2.imread(str(ASTRONAUT)), np.uint8)
    large[550:650, 750:850] = cv2.resize(astronaut[0:250, 100:350], (100, 100), interpolation=cv2.INTER_AREA)
    assert cv2.imwrite(str(tmp_path / "34_1_0_1.png"), large)
    (face,) = analyze_image(tmp_path / "34_1_0_1.png")
    ran = CliRunner().invoke(app, ["evaluate", str(tmp_path), "--json", "--output", str(tmp_path / "out")])
    assert ran.exit_code == 0, ran.output
    written = (tmp_path / "out" / "answers.csv").read_text().splitlines()[1].split(",")
    assert written[1:4] == [str(face.age_years), *map(str, face.age_interval_years or ())]


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
    assert list(json.loads(ran.stdout)["evaluations"][0]["groups"]["face height"]) == ["96+ px"]


def test_without_options_a_table_is_printed_and_nothing_written(dataset: Path) -> None:
    before = sorted(dataset.parent.rglob("*"))
    ran = CliRunner().invoke(app, ["evaluate", str(dataset)])
    assert ran.exit_code == 1, ran.output
    assert "women from 10" in ran.stdout
    assert "broken.jpg" in ran.stdout
    assert sorted(dataset.parent.rglob("*")) == before


def test_a_folder_without_labels_ends_with_status_1(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["evaluate", str(tmp_path)])
    assert ran.exit_code == 1
    assert "is labelled: expected a labels.csv" in ran.stderr


def test_an_output_that_cannot_be_written_is_named(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = CliRunner().invoke(app, ["evaluate", str(dataset), "--output", str(tmp_path / "file")])
    assert isinstance(ran.exception, AgeGenderError)
    assert "cannot write to" in str(ran.exception)
