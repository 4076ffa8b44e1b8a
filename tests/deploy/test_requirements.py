"""The requirement files: all come from one lock, and `requirements.txt` is enough to run everything."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.support.deploy_tools import REPOSITORY, check, program

FILES = [
    Path("requirements.txt"),
    *(Path("requirements") / path.name for path in sorted((REPOSITORY / "requirements").iterdir())),
]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
LOCK = tomllib.loads((REPOSITORY / "uv.lock").read_text())
NAMED_BY_THE_USER = {
    "kafka-python",
    "numpy",
    "opencv-python-headless",
    "prometheus-client",
    "pydantic",
    "redis",
    "tensorflow",
}


def uv(*words: str) -> str:
    """The output of uv, without a network."""
    return check(program("uv", where_from="pip install uv"), *words, "--offline", "--no-config", "--quiet")


def names(file: Path) -> set[str]:
    """The packages that a requirement file installs."""
    return set(re.findall(r"^([a-z0-9-]+)==", (REPOSITORY / file).read_text(), re.MULTILINE))


def test_the_lock_fits_the_project() -> None:
    uv("lock", "--check")


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_requirement_file_is_what_uv_exports(file: Path) -> None:
    first, _, rest = (REPOSITORY / file).read_text().partition("\n")
    options = first.removeprefix("# Written by `make lock`: uv export ").split()

    assert rest == uv("export", "--frozen", "--no-header", *options)


def test_make_lock_writes_every_requirement_file() -> None:
    script = (REPOSITORY / "tools" / "lock.sh").read_text()
    (images,) = re.findall(r"for image in (.*); do", script)
    written = {*re.findall(r"^export_to (\S+\.txt)", script, re.MULTILINE)}
    written |= {f"requirements/{image}.txt" for image in images.split()}

    assert written == {str(file) for file in FILES}


def test_requirements_txt_holds_all_that_the_user_named() -> None:
    assert names(Path("requirements.txt")) >= NAMED_BY_THE_USER


def test_requirements_txt_holds_all_that_the_services_need() -> None:
    images = ("ingest", "detect", "classify", "sink", "api", "camera")
    needed = set().union(*(names(Path(f"requirements/{image}.txt")) for image in images))

    assert needed | names(Path("requirements/lean.txt")) <= names(Path("requirements.txt"))


def test_the_only_opencv_is_the_headless_one() -> None:
    locked = {package["name"] for package in LOCK["package"]}

    assert {name for name in locked if name.startswith("opencv")} == {"opencv-python-headless"}


def test_the_lock_names_no_private_server() -> None:
    text = (REPOSITORY / "uv.lock").read_text()

    assert set(re.findall(r"\w+://([^/\"]+)", text)) == {"pypi.org", "files.pythonhosted.org"}
    assert not any("://" in (REPOSITORY / file).read_text() for file in FILES)


def test_no_extra_and_no_group_share_a_name() -> None:
    extras = {*PROJECT["project"]["optional-dependencies"]}

    assert not extras & {*PROJECT["dependency-groups"]}
