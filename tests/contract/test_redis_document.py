"""`docs/redis.md` is correct: its commands give data, and it lists every key."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from agegender.shared.messages.visits import Visit
from tests.support.made_messages import JPEG, frame_info, preview, track_summary, track_update, vote
from tests.support.redis_cli import redis_cli_environment
from tests.support.sink import Sink, opened_sink

_ROOT = Path(__file__).parents[2]
_DOCUMENT = (_ROOT / "docs" / "redis.md").read_text()
_EMPTY = ("", "0", "nil")


def blocks(language: str) -> list[str]:
    """The code blocks of the document in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```", _DOCUMENT, re.DOTALL | re.MULTILINE)


def _write(sink: Sink, number: int) -> None:
    """One visit ends now, and one stays open."""
    now_s = time.time()
    gone, there = f"s1-{2 * number + 1}", f"s1-{2 * number}"
    frame = frame_info("entrance", sequence=number, captured_at_s=now_s)
    left = track_summary(gone, first_seen_s=now_s, ended=True)
    # A minute ahead as well, should the hour change between writing and asking.
    stays = track_summary(there, first_seen_s=now_s + 60)
    seen = track_update(left, stays, frame=frame)
    sink.output.write([vote(gone, camera_id="entrance", captured_at_s=now_s), seen, preview(frame)])


@pytest.fixture
def busy_url(redis_database: str) -> Iterator[str]:
    """A store in which a visit ends every tenth of a second."""
    done = threading.Event()
    with opened_sink(redis_database) as sink:
        _write(sink, 0)

        def go_on() -> None:
            number = 1
            while not done.wait(0.1):
                _write(sink, number)
                number += 1

        writer = threading.Thread(target=go_on)
        writer.start()
        yield redis_database
        done.set()
        writer.join()


@pytest.fixture
def shell(busy_url: str, tmp_path: Path) -> dict[str, str]:
    """An environment in which `redis-cli` uses that store and fails if the server does."""
    return {**redis_cli_environment(busy_url, tmp_path), "REDIS_URL": busy_url}


def test_every_command_gives_data(shell: dict[str, str], tmp_path: Path) -> None:
    commands = [line for block in blocks("sh") for line in block.splitlines()]
    assert len(commands) >= 15
    for command in commands:
        done = subprocess.run(
            ["sh", "-c", command],
            env=shell,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), command
        file = re.search(r"> ([a-z.]+)$", command)
        if file is None:
            assert done.stdout.strip() not in _EMPTY, command
        else:
            assert (tmp_path / file[1]).read_bytes().startswith(JPEG)


def test_every_program_runs_and_says_something(busy_url: str, tmp_path: Path) -> None:
    programs = blocks("python")
    assert len(programs) == 2
    environment = {**os.environ, "REDIS_URL": busy_url, "PYTHONPATH": str(_ROOT)}
    for program in programs:
        # The program that follows the stream would never end, because visits end all the time.
        text = program.replace("while found", "if found").replace(
            "            break\n", "            continue\n"
        )
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", text],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), program
        assert "female" in done.stdout, program


def test_the_example_has_every_field_of_a_visit() -> None:
    (example,) = blocks("json")
    visit = Visit.model_validate_json(example)
    assert visit.model_fields_set == set(Visit.model_fields) - {"unclassified"}


def test_every_key_is_in_the_table(busy_url: str) -> None:
    table = set(re.findall(r"^\| `(agegender:[^`]+)`", _DOCUMENT, re.MULTILINE))
    with redis.Redis.from_url(busy_url) as client:
        found = {_kind(key.decode()) for key in client.scan_iter()}
    assert found == {_kind(key) for key in table}


def _kind(key: str) -> str:
    """The key without track id and time."""
    return re.sub(r"(visit|minute|hour|day):.*", r"\1", key)
