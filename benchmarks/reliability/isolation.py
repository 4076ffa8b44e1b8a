"""`python -m benchmarks.reliability.isolation`: what each misbehaviour of a camera costs the others.

For each, in a world of its own: good cameras and one that is good at first. The rate of the good ones is
taken while all are good, then while the one misbehaves; 5 % less would be too much. Beside it the time from
capture until a frame is handed to the stage, and the CPU time of the bad one's decoder.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.support.decoder_processes import decoders
from tests.support.misbehaving import HUNG, MISBEHAVIOURS, Cameras, misbehaving
from tests.support.taking import Taken
from tests.support.waiting import wait_until

LEAST_SHARE = 0.95
_NO_FRAME_S, _HUNG_S = 3.0, 1.0


@dataclass(frozen=True)
class Side:
    """How the good cameras fared in one span of time."""

    rate_fps: float
    """Of the worst of them, by our clock."""
    age_ms: float
    """Median of all."""
    dropped: float


@dataclass(frozen=True)
class Row:
    """One misbehaviour."""

    name: str
    before: Side
    during: Side
    failures: dict[str, float]
    bad_cpu: float | None
    """Of one core, of the decoder of the bad camera while it misbehaved; None if it was replaced."""

    @property
    def share(self) -> float:
        """Of the rate, that is left."""
        return self.during.rate_fps / self.before.rate_fps


def main(
    seconds: Annotated[float, typer.Option(help="Of each of the two spans.")] = 10.0,
    good: Annotated[int, typer.Option(help="Cameras that behave.")] = 4,
    size: Annotated[str, typer.Option(help="Of their pictures.")] = "1280x720",
    only: Annotated[list[str] | None, typer.Option(help="Misbehaviours; all unless told.")] = None,
) -> None:
    """Prints a table, and ends with 1 when a good camera lost more than 5 % of its frames."""
    width, height = (int(part) for part in size.split("x"))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in only or MISBEHAVIOURS:
            settings = {"no_frame_s": _NO_FRAME_S, "answer_s": _NO_FRAME_S, "keyframe_s": _NO_FRAME_S}
            settings["hung_s"] = _HUNG_S
            with misbehaving(Path(folder), good, [name], (width, height), **settings) as cameras:
                rows.append(_measured(cameras, name, seconds))
    _print(rows)
    if any(row.share < LEAST_SHARE for row in rows):
        raise typer.Exit(1)


def _measured(cameras: Cameras, name: str, seconds: float) -> Row:
    cameras.wait_until_up()
    # FFmpeg hands over the start of a stream at once.
    _span(cameras, 2.0)
    before = _span(cameras, seconds)
    cameras.misbehave()
    process, cpu_s = decoders().get(name), _cpu_s(decoders().get(name))
    during = _span(cameras, seconds)
    is_same = process is not None and decoders().get(name) == process and name != HUNG
    bad_cpu = (_cpu_s(process) - cpu_s) / seconds if is_same else None
    return Row(name, before, during, cameras.taker.failures(name), bad_cpu)


def _span(cameras: Cameras, seconds: float) -> Side:
    taker = cameras.taker
    counts = {one: len(taker.of(one)) for one in cameras.good}
    dropped = _dropped(cameras)
    until_s = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() > until_s, seconds + 1, "the time is over")
    given = {one: taker.of(one)[counts[one] :] for one in cameras.good}
    return Side(
        min(_rate_fps(frames) for frames in given.values()),
        1000 * median(one.age_s for frames in given.values() for one in frames),
        _dropped(cameras) - dropped,
    )


def _rate_fps(frames: list[Taken]) -> float:
    return (len(frames) - 1) / (frames[-1].at_s - frames[0].at_s)


def _dropped(cameras: Cameras) -> float:
    drops = "agegender_messages_dropped_total"
    return sum(cameras.taker.metrics.total(drops, camera=one) for one in cameras.good)


def _cpu_s(pid: int | None) -> float:
    if pid is None:
        return 0.0
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _print(rows: list[Row]) -> None:
    table = Table(title="the good cameras, while another …")
    for column in (
        "… ",
        "frames/s before",
        "during",
        "left",
        "",
        "age ms",
        "during ",
        "dropped",
        "its core",
        "its failures",
    ):
        table.add_column(column, justify="left" if column in ("… ", "its failures") else "right")
    for row in rows:
        table.add_row(
            row.name,
            f"{row.before.rate_fps:.2f}",
            f"{row.during.rate_fps:.2f}",
            f"{row.share:.1%}",
            "ok" if row.share >= LEAST_SHARE else "TOO FEW",
            f"{row.before.age_ms:.0f}",
            f"{row.during.age_ms:.0f}",
            f"{row.during.dropped:.0f}",
            "" if row.bad_cpu is None else f"{row.bad_cpu:.0%}",
            ", ".join(f"{reason} {times:.0f}" for reason, times in row.failures.items()),
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    typer.run(main)
