"""`make fuzz`: sends damaged data into the decoders of pictures and videos.

Each decoder is fuzzed in a child process with limits on memory and time, beginning with small files of every
kind. It fails where one crashes, hangs, hoards memory or raises what it should not; the bytes that did it are
kept. Needs atheris, which is there for Linux on x86-64.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.fuzz.run import fuzz
from benchmarks.fuzz.targets import TARGETS


def main() -> int:
    """Fuzzes, prints, and says by its exit status whether nothing was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="for all targets together")
    parser.add_argument("--findings", type=Path, default=Path("build/fuzz"))
    given = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        parser.error("the package atheris is not installed: there are builds of it for Linux on x86-64")
    console, is_clean = Console(), True
    for target in TARGETS:
        console.print(f"{target}: {given.seconds / len(TARGETS):.0f} s …", highlight=False)
        fuzzed = fuzz(target, given.seconds / len(TARGETS), given.findings)
        is_clean &= fuzzed.is_clean
        console.print(f"{target}: {fuzzed.executions} inputs, at most {fuzzed.peak_mb} MB", highlight=False)
        if not fuzzed.is_clean:
            console.print(fuzzed.output, markup=False, highlight=False)
            console.print(f"{target}: {fuzzed.finding or 'did not run'}", style="red bold", highlight=False)
    return 0 if is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
