"""The jars of Apache Kafka, fetched once through Maven into a cache outside the repository.

`python -m tests.support.kafka_jars` fetches them ahead of a test run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.availability import ServerUnavailableError

KAFKA_FOLDER = Path(__file__).parents[2] / "deploy" / "kafka"
_POM = KAFKA_FOLDER / "pom.xml"
_OLDEST_JAVA = 17
_FETCH_TIMEOUT_S = 600


def kafka_version() -> str:
    """Return the version of Apache Kafka that deploy/kafka/pom.xml names."""
    found = re.search(r"<kafka\.version>([\d.]+)</kafka\.version>", _POM.read_text())
    if found is None:
        raise ValueError(f"{_POM} must name the version of Kafka in the property kafka.version")
    return found[1]


def java_program() -> str:
    """Return the Java program on PATH; raises ServerUnavailableError when there is none or it is too old."""
    program = shutil.which("java")
    if program is None:
        raise ServerUnavailableError(f"Java {_OLDEST_JAVA} or newer is not on PATH")
    answer = subprocess.run([program, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', answer)
    if found is None or int(found[1]) < _OLDEST_JAVA:
        raise ServerUnavailableError(
            f"Java {_OLDEST_JAVA} or newer is needed, {program} says: {answer.strip()}"
        )
    return program


def kafka_jars() -> Path:
    """Return the folder of jars that make a broker's class path, fetching them when they are not cached.

    Raises ServerUnavailableError when Maven is missing or fails.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "agegender"
    jars = cache / f"kafka-{kafka_version()}"
    if not jars.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="fetching-", dir=cache) as scratch:
            fetched = Path(scratch) / "jars"
            _fetch(fetched)
            # A folder under its final name is complete: an interrupted fetch leaves none.
            _rename_unless_there(fetched, jars)
    return jars


def _fetch(folder: Path) -> None:
    program = shutil.which("mvn")
    if program is None:
        raise ServerUnavailableError("Maven (mvn) is not on PATH: it fetches the jars of Apache Kafka")
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
    try:
        done = subprocess.run(
            [program, "--quiet", "--batch-mode", "--file", str(_POM), *goal],
            capture_output=True,
            text=True,
            check=False,
            timeout=_FETCH_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise ServerUnavailableError(
            f"Maven did not fetch Kafka's jars within {_FETCH_TIMEOUT_S} s"
        ) from None
    if done.returncode != 0:
        raise ServerUnavailableError(f"Maven could not fetch Kafka's jars:\n{done.stdout[-2000:]}")


def _rename_unless_there(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except OSError:
        # Another test run was quicker; its folder is as good as ours.
        if not target.is_dir():
            raise


if __name__ == "__main__":
    java_program()
    sys.stdout.write(f"{kafka_jars()}\n")
