"""A short run of `make fuzz`, and whether it would find what there is to find."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("atheris", reason="the package atheris is not installed")

from benchmarks.fuzz.run import fuzz
from benchmarks.fuzz.seeds import write_seeds
from benchmarks.fuzz.targets import TARGETS, picture, video

SECONDS = 3.0

pytestmark = pytest.mark.timeout(240)


@pytest.mark.parametrize("target", TARGETS)
def test_no_bytes_do_harm_to_a_decoder(tmp_path: Path, target: str) -> None:
    fuzzed = fuzz(target, SECONDS, tmp_path, seed=1)
    assert fuzzed.is_clean, fuzzed.output
    assert fuzzed.executions > 20


@pytest.mark.parametrize(
    ("canary", "called"),
    [("crashes", "crash-"), ("hangs", "timeout-"), ("hoards", "oom-"), ("raises", "crash-")],
)
def test_whatever_harm_is_done_is_found_and_kept(tmp_path: Path, canary: str, called: str) -> None:
    fuzzed = fuzz(canary, 60, tmp_path, slowest_s=2 if canary == "hangs" else 60)
    assert not fuzzed.is_clean
    assert fuzzed.finding is not None
    assert fuzzed.finding.name.startswith(called)
    assert fuzzed.finding.read_bytes().startswith(b"\xff\xd8")
    assert fuzzed.output


@pytest.mark.parametrize(("target", "kinds"), [("picture", 9), ("video", 7)])
def test_there_are_seeds_of_many_kinds_and_each_is_taken(tmp_path: Path, target: str, kinds: int) -> None:
    write_seeds(target, tmp_path)
    seeds = [path.read_bytes() for path in tmp_path.iterdir()]
    assert len(seeds) >= kinds
    for seed in seeds:
        {"picture": picture, "video": video}[target](seed)
