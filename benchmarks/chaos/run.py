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
from benchmarks.chaos.brokers import Kafka
from benchmarks.chaos.plan import OTHER_FAULTS, VICTIMS, Deed, Round
from benchmarks.chaos.verdict import Found, Verdict, check
from benchmarks.chaos.world import World, patiently
from tests.support.redis_pair import RedisPair


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
            **{f"{victim}: {deed}": deeds[deed, victim] for victim, deed in OTHER_FAULTS},
            "frames with faces": len({one.frame_id for one in self.found.frames}),
            "results": len(self.found.results),
            "visits": len(self.found.visits),
            "of them closed because their camera fell silent": sum(
                one.closed == "timed-out" for one in self.found.visits
            ),
            "frames that Kafka deleted unread": len(self.found.unread),
            "age of the oldest live frame looked at, in seconds": round(max(self.found.ages_s, default=0.0)),
            **{name: kind.total() for name, kind in self.verdict.kinds.items()},
        }


def run(rounds: Sequence[Round], kafka: Kafka, redis: RedisPair, folder: Path, console: Console) -> Outcome:
    """Carries out the rounds on a new pipeline, waits until all is worked off, and looks.

    Args:
        kafka: running; a broker is killed and frozen, and all run at the end.
        redis: the same, with the settings `world.REDIS_SETTINGS`.
        folder: for the logs of the services.
    """
    with CameraSimulator() as simulator:
        world = World(kafka, redis, simulator, "chaos-", folder)
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
            differences = [one for one in report.differences if not _is_explained(one, found)]
            verdict.add(verdict.unexplained, f"differences in the audit: {differences}", len(differences))
            miscounted = world.frames.miscounted
            verdict.add(verdict.unexplained, f"wrong counts: {miscounted}", len(miscounted))
            verdict.add(verdict.unexplained, "dead letters", world.dead_letters())
            ended = world.ended_by_themselves
            verdict.add(
                verdict.unexplained, f"processes that ended by themselves: {set(ended)}", ended.total()
            )
    return Outcome(rounds, found, report, verdict)


def _is_explained(difference: str, found: Found) -> bool:
    """Whether the audit says it of frames that the plan had deleted."""
    return bool(found.unread) and "deleted by Kafka before" in difference
