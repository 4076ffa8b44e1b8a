"""A program that a large process starts tells its own peak of memory."""

from __future__ import annotations

import subprocess
import sys

from tests.support.own_memory import with_own_peak

_LARGE_MB = 200
_TELLS = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


def test_a_program_has_its_own_peak_memory_and_exit_status() -> None:
    ours = bytearray(b"x" * (_LARGE_MB * 1_000_000))
    told = subprocess.run(
        with_own_peak([sys.executable, "-c", _TELLS]), capture_output=True, text=True, timeout=60, check=True
    )
    assert int(told.stdout) * _UNIT_BYTES < len(ours)
    ended = subprocess.run(
        with_own_peak([sys.executable, "-c", "raise SystemExit(7)"]), timeout=60, check=False
    )
    assert ended.returncode == 7
