"""What a process and those that it has forked take together: all CPU time, and shared memory once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.process_family import can_be_told, family_of, memory_bytes, used_cpu_s

pytestmark = pytest.mark.skipif(not can_be_told(), reason="this system does not tell what processes take")

MB = 1_000_000
SHARED_MB, OWN_MB = 60, 20
BURNT_S = 0.3
PARENT = f"""
import os, sys, time
shared = bytearray(b"x" * {SHARED_MB * MB})
if os.fork() == 0:
    own = bytearray(b"x" * {OWN_MB * MB})
    while time.process_time() < {BURNT_S}:
        pass
    print("burnt", flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def parent() -> Iterator[int]:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"burnt\n"
        yield process.pid
        process.kill()


def test_a_family_is_a_process_and_all_below_it(parent: int) -> None:
    members = list(family_of(parent))
    assert len(members) == 2
    assert members[0] == parent
    assert set(members) < set(family_of(os.getpid()))


def test_the_cpu_time_of_a_child_that_still_runs_counts(parent: int) -> None:
    assert used_cpu_s([parent]) < used_cpu_s(family_of(parent)) - BURNT_S * 0.9


def test_shared_memory_counts_once_and_private_memory_each_time(parent: int) -> None:
    together_mb = memory_bytes(family_of(parent)) / MB
    assert SHARED_MB + OWN_MB < together_mb < 2 * SHARED_MB + OWN_MB


def test_a_process_that_has_ended_is_said_to_have() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with pytest.raises(OSError, match=str(ended.pid)):
        used_cpu_s([ended.pid])
