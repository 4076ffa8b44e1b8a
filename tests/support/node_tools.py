"""Programs from npm, installed once, at locked versions, into a cache outside the repository."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.support.availability import ServerUnavailableError, skip_or_fail

_FOLDER = Path(__file__).parents[2] / "deploy" / "checks"
_INSTALL_WITHIN_S = 300


def node_program(name: str) -> Path:
    """Return the path of a program of deploy/checks/package.json.

    Skips the test where npm is missing or cannot install it, and fails it in CI.
    """
    lock = _FOLDER / "package-lock.json"
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agegender"
    installed = cache / f"node-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    try:
        if not installed.is_dir():
            cache.mkdir(parents=True, exist_ok=True)
            _install(cache, installed)
    except ServerUnavailableError as error:
        skip_or_fail(error)
    return installed / "node_modules" / ".bin" / name


def _install(cache: Path, installed: Path) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise ServerUnavailableError("npm is not on PATH: it installs the checker of compose files")
    with tempfile.TemporaryDirectory(prefix="installing-", dir=cache) as scratch:
        folder = Path(scratch) / "node"
        folder.mkdir()
        for file in ("package.json", "package-lock.json"):
            shutil.copy(_FOLDER / file, folder)
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=_INSTALL_WITHIN_S,
        )
        if done.returncode != 0:
            raise ServerUnavailableError(f"npm could not install dclint:\n{done.stdout[-2000:]}")
        # A folder under its final name is complete: an interrupted installation leaves none.
        try:
            folder.rename(installed)
        except OSError:
            # Another test run was quicker; its folder is as good as ours.
            if not installed.is_dir():
                raise
