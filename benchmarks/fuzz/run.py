"""Fuzzing in a child process within limits, and what came of it."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fuzz.seeds import write_seeds
from tests.support.own_memory import with_own_peak

_ROOT = Path(__file__).parents[2]
_LONGEST_INPUT_BYTES = 16_384
_MOST_MEMORY_MB = 1_500
_SLOWEST_S = 20
_START_S = 120.0
_STAT = re.compile(r"^stat::(\w+):\s+(\d+)$", re.MULTILINE)
_SIGNS_OF_OUTPUT = 3_000


@dataclass(frozen=True)
class Fuzzed:
    """One target after its time."""

    target: str
    executions: int
    peak_mb: int
    finding: Path | None = None
    """The bytes that did it, called after what they did: crash-…, timeout-… or oom-…."""
    output: str = ""
    """The end of what the child said, where there is a finding or it did not run at all."""

    @property
    def is_clean(self) -> bool:
        """Whether it ran, and nothing was found."""
        return self.finding is None and not self.output


def fuzz(
    target: str, seconds: float, findings: Path, *, slowest_s: int = _SLOWEST_S, seed: int = 0
) -> Fuzzed:
    """Fuzzes one of `targets.TARGETS` or `CANARIES`.

    Args:
        findings: the folder for the bytes that did harm.
        slowest_s: an input that takes longer hangs.
        seed: of the mutations; 0 for another one each time.
    """
    findings.mkdir(parents=True, exist_ok=True)
    before = set(findings.iterdir())
    with tempfile.TemporaryDirectory() as corpus:
        write_seeds(target, Path(corpus))
        command = [sys.executable, "-m", "benchmarks.fuzz.child", target]
        command += [corpus, f"-artifact_prefix={findings}/", f"-max_total_time={max(1, round(seconds))}"]
        command += [f"-max_len={_LONGEST_INPUT_BYTES}", f"-timeout={slowest_s}", f"-seed={seed}"]
        command += [f"-rss_limit_mb={_MOST_MEMORY_MB}", "-print_final_stats=1", "-verbosity=1"]
        try:
            done = subprocess.run(
                with_own_peak(command),
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=seconds + _START_S,
                check=False,
            )
            status, said = done.returncode, done.stdout
        except subprocess.TimeoutExpired as error:
            status, said = -1, error.stdout or b"it did not end in time"
    text = said.decode(errors="replace")
    found = sorted(set(findings.iterdir()) - before)
    stats = {name: int(number) for name, number in _STAT.findall(text)}
    return Fuzzed(
        target,
        stats.get("number_of_executed_units", 0),
        stats.get("peak_rss_mb", 0),
        found[0] if found else None,
        text[-_SIGNS_OF_OUTPUT:] if found or status != 0 else "",
    )
