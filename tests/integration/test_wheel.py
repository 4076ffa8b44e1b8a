"""The package as others install it."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.availability import ServerUnavailableError, skip_or_fail

_ROOT = Path(__file__).parents[2]
_IMPORTER = """
from age_gender_detection import Analyzer, analyze_image
from agegender.analysis.people import People
from agegender.services.detect.faces.yunet import YuNet
from agegender.shared.images.pictures import shrink
from agegender.simulator.samples import fetch_samples

reveal_type(analyze_image("photo.jpg"))
reveal_type(Analyzer.analyze_frames)
reveal_type(People.persons)
reveal_type(YuNet.detect)
reveal_type(shrink)
reveal_type(fetch_samples)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by `uv`, which fetches what builds it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "uv", "build", "--wheel", "--out-dir", str(folder), str(_ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    if done.returncode != 0:
        skip_or_fail(ServerUnavailableError(f"no wheel could be built: {done.stderr[-300:]}"))
    (path,) = folder.glob("*.whl")
    return path


def test_the_type_checker_of_whoever_installs_it_knows_its_types(wheel: Path, tmp_path: Path) -> None:
    environment, script = tmp_path / "venv", tmp_path / "importer.py"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    script.write_text(_IMPORTER)
    options = ["--python-executable", str(environment / "bin" / "python"), "--cache-dir", str(tmp_path)]
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", *options, script.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    told = checked.stdout
    assert checked.returncode == 0, told
    assert told.count("Revealed type is") == 6
    assert '"list[agegender.shared.messages.pipeline.Result]"' in told
    assert '"Any"' not in told
