"""Light commands start without the packages that decode, detect and classify, and print nothing on stderr."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agegender import cli
from tests.support.faces import astronaut, write_frames

_HEAVY = (
    "ai_edge_litert",
    "av",
    "cv2",
    "fastapi",
    "kafka",
    "numpy",
    "prometheus_client",
    "redis",
    "tensorflow",
)
# `runpy` would hide what the command loads from its process, so a program lists it at its end.
_PROGRAM = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))
from agegender.cli import main
main()
"""


def _loaded(*arguments: str, **settings: str) -> tuple[int, set[str], str]:
    """The exit status, the packages that were loaded, and the rest of standard error."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    *said, modules = done.stderr.splitlines()
    return done.returncode, {name.split(".")[0] for name in json.loads(modules)}, "\n".join(said)


def test_a_file_is_probed_without_the_client_of_kafka(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    write_frames(clip, [(astronaut(), number / 10) for number in range(4)])
    status, packages, said = _loaded("cameras", "probe", str(clip), "--seconds", "1")
    assert (status, said) == (0, "")
    assert "kafka" not in packages


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        *((name.replace("_", "-"), "--help") for name in cli.COMMANDS),
        ("query", "visits", "--help"),
        ("cameras", "list", "--help"),
        ("topics", "check", "--help"),
    ],
    ids=" ".join,
)
def test_help_loads_no_heavy_package(arguments: tuple[str, ...]) -> None:
    status, packages, said = _loaded(*arguments)
    assert (status, said) == (0, "")
    assert packages.isdisjoint(_HEAVY)


@pytest.mark.parametrize("arguments", [("topics", "check"), ("cameras", "list")], ids=" ".join)
def test_commands_about_kafka_load_no_nets_and_no_opencv(arguments: tuple[str, ...]) -> None:
    nowhere = {"KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "KAFKA_TIMEOUT_S": "1"}
    status, packages, said = _loaded(*arguments, **nowhere)
    assert status == 2, said
    assert "kafka" in packages, "it has tried to connect"
    assert packages.isdisjoint({"ai_edge_litert", "av", "cv2", "fastapi", "tensorflow"})


def test_a_query_loads_no_nets_and_no_opencv() -> None:
    status, packages, said = _loaded("query", "cameras", REDIS_URL="redis://127.0.0.1:1/0")
    assert status == 2, said
    assert "redis" in packages, "it has tried to connect"
    assert packages.isdisjoint({"ai_edge_litert", "av", "cv2", "fastapi", "kafka", "tensorflow"})


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_list_of_commands_says_what_their_help_says(name: str) -> None:
    told = cli.load_command(name).help or ""
    assert told.split("\n\n")[0] == cli.COMMANDS[name]
