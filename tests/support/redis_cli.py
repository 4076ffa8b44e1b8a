"""`redis-cli` as the documents call it, but asking the store of a test."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.availability import ServerUnavailableError, skip_or_fail


def redis_cli_environment(url: str, folder: Path) -> dict[str, str]:
    """An environment in which `redis-cli` asks the store at `url`, and fails where the server does.

    The wrapper that does so is put into `folder`. Without the program the test is skipped, or fails in CI.
    """
    program = shutil.which("redis-cli")
    if program is None:
        skip_or_fail(ServerUnavailableError("redis-cli is not on PATH (Debian: apt-get install redis-tools)"))
    wrapper = folder / "redis-cli"
    wrapper.write_text(f'#!/bin/sh\nexec {program} -e -p {urlsplit(url).port} "$@"\n')
    wrapper.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
