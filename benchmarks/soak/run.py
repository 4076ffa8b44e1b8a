"""One run from its first look to its verdict."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from agegender.commands.audit.report import Report
from agegender.simulator.rtsp.cameras import CameraSimulator
from benchmarks.soak.site import Site
from benchmarks.soak.verdict import Verdict

_LOOKS = 200
_LOOK_EVERY_S = (1.0, 10.0)
_TELLS = 20


@dataclass(frozen=True)
class Outcome:
    """What a run came to."""

    verdict: Verdict
    report: Report


def run(
    seconds: float,
    bootstrap_servers: str,
    redis_url: str,
    folder: Path,
    console: Console,
    *,
    overload: float = 1.0,
) -> Outcome:
    """Runs the services under load for so long, watches them, and looks.

    Args:
        redis_url: of an empty store.
        folder: for the logs of the services.
        overload: the load, by what detect can do; 1: it gets all the CPU that it wants.
    """
    with CameraSimulator() as simulator:
        console.print("Starting the pipeline …")
        # Frames are thinned to stay below a deadline.
        more = {"DETECT_STALE_S": "30"} if overload > 1.0 else {}
        site = Site(bootstrap_servers, redis_url, simulator, "soak-", folder, **more)
        with site.running():
            with site.overloaded(overload) as cores:
                if overload > 1.0:
                    console.print(f"Detect gets {cores:.2f} cores")
                watch(site, seconds, console)
            ended = [f"{name} ended by itself" for name in site.ended_by_themselves()]
            console.print("Waiting until everything is worked off …")
            try:
                site.come_to_rest()
            except TimeoutError as error:
                ended.append(str(error))
            report = site.audit()
            complaints = list(_complaints(site, ended, report))
    return Outcome(Verdict(site.recording, complaints), report)


def watch(site: Site, seconds: float, console: Console) -> None:
    """Looks again and again, and says now and then how it goes; ends early when a service has ended."""
    every_s = min(max(seconds / _LOOKS, _LOOK_EVERY_S[0]), _LOOK_EVERY_S[1])
    began_s = time.monotonic()
    tell_at_s = 0.0
    while (so_far_s := time.monotonic() - began_s) < seconds and not site.ended_by_themselves():
        site.look()
        if so_far_s >= tell_at_s:
            tell_at_s += seconds / _TELLS
            console.print(
                f"{so_far_s:6.0f} of {seconds:.0f} s: {_now(site)}", highlight=False, soft_wrap=True
            )
        time.sleep(max(0.0, so_far_s + every_s - (time.monotonic() - began_s)))
    site.look()


def _now(site: Site) -> str:
    memory = ", ".join(f"{name} {looks[-1].memory_mb:.0f}" for name, looks in site.recording.services.items())
    return f"{memory} MB; {site.recording.flow[-1].waiting} messages wait"


def _complaints(site: Site, ended: list[str], report: Report) -> Iterator[str]:
    yield from ended
    yield from report.differences
    if letters := site.dead_letters():
        yield f"{letters} dead letters"
    for answer, number in site.answers.items():
        if answer != "ok":
            yield f"{number} answers of the API were no answers: {answer}"
