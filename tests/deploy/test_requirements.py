"""The requirement files: all come from one lock, and `requirements.txt` is enough to run everything."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from tests.support.deploy_tools import REPOSITORY, check, locked, names_of, program

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


def names(file: str) -> set[str]:
    """The packages that a requirement file installs."""
    return names_of((REPOSITORY / file).read_text())


def test_the_lock_fits_the_project() -> None:
    uv = program("uv", where_from="pip install uv")

    check(uv, "lock", "--check", "--offline", "--no-config", "--quiet")


@pytest.mark.parametrize("file", FILES, ids=str)
def test_a_requirement_file_is_what_uv_exports(file: Path) -> None:
    first, _, rest = (REPOSITORY / file).read_text().partition("\n")
    prefix = "# Written by `make lock`: uv export --no-default-groups --no-emit-project "

    assert first.startswith(prefix)
    assert rest == locked(*first.removeprefix(prefix).split())


def test_make_lock_writes_every_requirement_file() -> None:
    script = (REPOSITORY / "tools" / "lock.sh").read_text()
    written = set(re.findall(r"^export_to (\S+\.txt)", script, re.MULTILINE))

    assert written == {str(file) for file in FILES}


def test_requirements_txt_holds_all_that_the_user_named() -> None:
    assert names("requirements.txt") >= NAMED_BY_THE_USER


def test_requirements_txt_holds_all_that_the_services_need() -> None:
    groups = [
        group
        for group in PROJECT["dependency-groups"]
        if group.startswith("image-") and group not in ("image-build", "image-classify-gpu")
    ]
    needed = names_of(locked(*(word for group in groups for word in ("--only-group", group))))

    assert len(groups) == 6
    assert needed | names("requirements/lean.txt") <= names("requirements.txt")


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
