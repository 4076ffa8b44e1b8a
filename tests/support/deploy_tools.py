"""Programs that check what is deployed: found beside this Python or on PATH, run with their words kept."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.availability import ServerUnavailableError, skip_or_fail

REPOSITORY = Path(__file__).parents[2]
DEPLOY = REPOSITORY / "deploy"

_ANSWER_WITHIN_S = 60


def program(name: str, *, where_from: str) -> str:
    """Return the path of a program; skips the test where there is none, and fails it in CI.

    Args:
        where_from: how to get it, for the message of a skipped test.
    """
    beside = Path(sys.executable).parent
    found = shutil.which(name, path=str(beside)) or shutil.which(name)
    if found is None:
        skip_or_fail(ServerUnavailableError(f"{name} is not on PATH: {where_from}"))
    return found


def run(
    *command: str | Path,
    folder: Path = REPOSITORY,
    environment: Mapping[str, str] | None = None,
    timeout_s: float = _ANSWER_WITHIN_S,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end in `folder`; what it says on both outputs is in `stdout`, in its order.

    Args:
        environment: all variables that it sees; None: those of this process.
    """
    return subprocess.run(
        [str(word) for word in command],
        cwd=folder,
        env=None if environment is None else dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=timeout_s,
    )


def check(
    *command: str | Path, folder: Path = REPOSITORY, environment: Mapping[str, str] | None = None
) -> str:
    """As `run`, and the test fails with what the program says where it does not end with 0."""
    done = run(*command, folder=folder, environment=environment)
    assert done.returncode == 0, f"{command[0]} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def locked(*options: str) -> str:
    """The requirements that `uv export` makes of uv.lock, without a network.

    Args:
        options: the extras and groups, in the words of uv.
    """
    uv = program("uv", where_from="pip install uv")
    return check(
        *(uv, "export", "--no-config", "--offline", "--quiet", "--frozen", "--no-header"),
        *("--no-default-groups", "--no-emit-project", *options),
    )


def names_of(requirements: str) -> set[str]:
    """The packages that requirements name."""
    return set(re.findall(r"^([a-z0-9-]+)(?:\[[a-z-]+\])?==", requirements, re.MULTILINE))
