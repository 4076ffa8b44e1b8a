"""`cameras validate` accepts what `run` accepts, first of all the file of the README."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from agegender.cli import app
from agegender.commands.run.session import chosen_cameras
from agegender.shared.errors import SettingsError

_README = Path(__file__).parents[4] / "README.md"


def validate(path: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["cameras", "validate", str(path), *options])


@pytest.fixture
def of_readme(tmp_path: Path) -> Path:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", _README.read_text(), re.DOTALL | re.MULTILINE)
    path = tmp_path / "cameras.yaml"
    path.write_text(text)
    return path


def test_the_file_of_the_readme_is_accepted_as_run_accepts_it(
    of_readme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ENTRANCE_PASSWORD", raising=False)
    assert [one.id for one in chosen_cameras((), of_readme)] == ["entrance", "hall", "desk", "archive"]
    found = validate(of_readme)
    assert found.exit_code == 0, found.output
    assert "4 cameras: `agegender run --cameras` accepts the file." in found.stdout
    assert "camera entrance: environment variable ENTRANCE_PASSWORD is not set here" in found.stdout
    assert "camera archive: there is no file or folder 'recordings/monday.mp4' here" in found.stdout


def test_what_kafka_takes_is_another_question(of_readme: Path) -> None:
    found = validate(of_readme, "--kafka")
    assert found.exit_code == 1
    assert (
        "camera entrance: password_env is ENTRANCE_PASSWORD, expected a name that begins with" in found.stdout
    )
    assert "4 cameras, and 3 cannot go into Kafka." in found.stdout


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cameras:\n- {id: a, sorce: 'rtsp://h'}", "sorce: unknown: did you mean source?"),
        ("cameras:\n- {id: a, source: x, fps: 0}", "fps: Input should be greater than 0"),
        ("cameras: []", "expected a list of cameras"),
    ],
)
def test_what_run_refuses_is_refused_in_the_same_words(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "cameras.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as by_run:
        chosen_cameras((), path)
    refused = validate(path)
    assert isinstance(refused.exception, SettingsError)
    assert told in str(by_run.value) == str(refused.exception)
