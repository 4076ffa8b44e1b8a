"""`python -m benchmarks.start_up`: CPU time of light commands, beside that of the packages they are made of.

Each command is started several times, in turn with the others. The smallest CPU time of each is printed, with
its ratio to `import typer, rich, redis, pydantic` in the same run.
"""

from __future__ import annotations

import os
import subprocess
import sys

REFERENCE = ("-c", "import typer, rich, redis, pydantic")
COMMANDS = ("--help", "query --help", "query visits --help", "topics --help", "cameras list --help")
ROUNDS = 7
MOST = 1.5


def cpu_s(*arguments: str) -> float:
    """CPU time of one start of Python with these arguments, in seconds."""
    before = os.times()
    subprocess.run(
        [sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def main() -> int:
    """Prints a line for each command; returns 1 when one takes more than `MOST` times the reference."""
    starts: dict[str, tuple[str, ...]] = {" ".join(REFERENCE): REFERENCE}
    starts |= {f"agegender {one}": ("-m", "agegender", *one.split()) for one in COMMANDS}
    least_s = {name: min(cpu_s(*arguments) for _ in range(ROUNDS)) for name, arguments in starts.items()}
    reference_s = least_s[" ".join(REFERENCE)]
    for name, seconds in least_s.items():
        print(f"{seconds:6.2f} s  {seconds / reference_s:5.2f} x  {name}")  # noqa: T201
    return int(max(least_s.values()) > MOST * reference_s)


if __name__ == "__main__":
    sys.exit(main())
