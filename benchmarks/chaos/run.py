"""One run from its first deed to its verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from agegender.commands.audit.report import Report
from agegender.simulator.rtsp.cameras import CameraSimulator
from benchmarks.chaos.plan import VICTIMS, Deed, Round
from benchmarks.chaos.verdict import Found, Verdict, check
from benchmarks.chaos.world import World, patiently
from tests.support.kafka_broker import KafkaBroker
from tests.support.redis_server import RedisServer


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    rounds: Sequence[Round]
    found: Found
    report: Report
    verdict: Verdict

    def table(self) -> Table:
        """The run in numbers."""
        shown = Table(box=box.SIMPLE, show_header=False)
        shown.add_column("")
        shown.add_column("", justify="right")
        for name, number in self._numbers().items():
            shown.add_row(name, str(number))
        return shown

    def _numbers(self) -> dict[str, int]:
        deeds: Counter[tuple[Deed, str]] = Counter((one.deed, one.victim) for one in self.rounds)
        return {
            "rounds": len(self.rounds),
            **{f"kills of {one}": deeds["kill", one] for one in VICTIMS},
            "stops and continuations": sum(one.deed == "freeze" for one in self.rounds),
            "frames with faces": len({one.frame_id for one in self.found.frames}),
            "results": len(self.found.results),
            "visits": len(self.found.visits),
            "of them closed because their camera fell silent": sum(
                one.closed == "timed-out" for one in self.found.visits
            ),
            "lost": self.verdict.lost.total(),
            "doubled": self.verdict.doubled.total(),
            "unexplained": self.verdict.unexplained.total(),
        }


def run(
    rounds: Sequence[Round], broker: KafkaBroker, redis: RedisServer, folder: Path, console: Console
) -> Outcome:
    """Carries out the rounds on a new pipeline, waits until all is worked off, and looks.

    Args:
        broker: running; it is killed and frozen, and runs at the end.
        redis: the same, with data that outlives it and the settings `world.REDIS_SETTINGS`.
        folder: for the logs of the services.
    """
    with CameraSimulator() as simulator:
        world = World(broker, redis, simulator, "chaos-", folder)
        console.print("Starting the pipeline …")
        with world.running():
            for one in rounds:
                world.carry_out(one)
                line = f"{one.text}; {patiently(world.frames_published)} frames so far"
                console.print(
                    f"round {one.number:>3} of {len(rounds)}: {line}", highlight=False, soft_wrap=True
                )
            console.print("Waiting until everything is worked off …")
            world.come_to_rest()
            report, found = patiently(world.audit), patiently(world.found)
            verdict = check(found)
            verdict.add(verdict.unexplained, "differences found by the audit", len(report.differences))
            verdict.add(verdict.unexplained, "dead letters", world.dead_letters())
            ended = world.ended_by_themselves
            verdict.add(
                verdict.unexplained, f"processes that ended by themselves: {set(ended)}", ended.total()
            )
    return Outcome(rounds, found, report, verdict)
