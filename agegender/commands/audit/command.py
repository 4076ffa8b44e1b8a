"""`agegender audit`: the options."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from agegender.shared.times import EXPECTED, EXPECTED_ZONE

app = typer.Typer(add_completion=False)


@app.command()
def audit(
    metrics: Annotated[
        list[str] | None,
        typer.Option(help="Address of a worker's /metrics; give it once for each worker."),
    ] = None,
    prometheus: Annotated[
        str | None,
        typer.Option(
            help="Address of a Prometheus that scrapes the workers. It also knows the counters of ended ones."
        ),
    ] = None,
    since: Annotated[
        str, typer.Option(help=f"The start of the audit's window: {EXPECTED}. Kafka keeps 10 minutes.")
    ] = "5m",
    tz: Annotated[
        str | None,
        typer.Option(
            "--tz", metavar="NAME", help=f"The zone of --since: {EXPECTED_ZONE}. Default: local time."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The report as one JSON object.")] = False,
) -> None:
    """Adds up what was captured, dropped, found, classified and stored, and reports what is missing.

    Each number names its source: the metrics of the workers, the topics and offsets in Kafka, or the store.
    Without addresses, the workers on this machine are asked. `agegender run` has no Kafka: there, only the
    metrics are compared. Exit status: 0 all numbers add up, 1 a number does not.
    """
    from rich.console import Console

    from agegender.commands.audit.run import run_audit

    report = run_audit(metrics, prometheus, since, tz)
    if as_json:
        typer.echo(json.dumps(report.record()))
    else:
        Console().print(report.draw(), highlight=False)
    if not report.balanced:
        raise typer.Exit(1)
