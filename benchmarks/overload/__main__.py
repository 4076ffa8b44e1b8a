"""`make overload-check`: cores are taken away, and people are still counted right, or marked as unsure.

Two simulated cameras show twelve people that never leave. `agegender run` first gets all the CPU that it
wants. Then it gets 1/2, 1/4 and 1/8 of what it used. Fails if a count is off by more than one person and the
visits that are too many are not marked as unsure, or if one camera gets less than half of the other. Linux.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.overload.picture import drawn
from benchmarks.overload.scene import Counted, count
from benchmarks.soak.processes import can_be_watched

SHARES = (1.0, 0.5, 0.25, 0.125)


def main() -> int:
    """Runs, prints, and says by its exit status whether all counts are right."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="for each share of the CPU")
    parser.add_argument("--cores", type=float, help="what all of it is; without it, this is measured")
    parser.add_argument("--out", type=Path, default=Path("build/overload.svg"), help="where the picture goes")
    given = parser.parse_args()
    if not can_be_watched():
        parser.error("this system has no /proc, which tells the CPU time of a process: run it on Linux")
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="agegender-overload-"))
    counted: list[Counted] = []
    for share in SHARES:
        needed = given.cores or (counted[0].cores if counted else None)
        console.print(f"{share:g} of the CPU …")
        counted.append(count(share, None if needed is None else share * needed, given.seconds, folder))
        console.print(table(counted[-1:]))
    console.print(table(counted))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(drawn(counted))
    is_right = all(one.is_right and one.is_fair for one in counted)
    console.print(f"{given.out}: {'all counts are right or marked' if is_right else 'NOT right'}")
    if is_right:
        shutil.rmtree(folder)
    else:
        console.print(f"The logs are in {folder}")
    return 0 if is_right else 1


def table(counted: Sequence[Counted]) -> Table:
    """The counts by the share of the CPU."""
    shown = Table(box=SIMPLE, title="What was counted", title_justify="left")
    for name in ("CPU", "cores", "frames a second", "of", "delay", "people", "counted", "unsure", ""):
        shown.add_column(name, justify="right")
    for one in counted:
        shown.add_row(
            f"{one.share:g}",
            f"{one.cores:.2f}",
            " and ".join(f"{rate_hz:.2f}" for rate_hz in one.rates_hz),
            f"{one.captured_hz:.1f}",
            f"{one.oldest_s:.1f} s",
            f"{one.people}",
            f"{len(one.visits)}",
            f"{len(one.visits) - one.sure}",
            "[green]right" if one.is_right and one.is_fair else "[red]wrong",
        )
    return shown


if __name__ == "__main__":
    sys.exit(main())
