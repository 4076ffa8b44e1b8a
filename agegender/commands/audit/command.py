"""`agegender audit`: reads the command line, looks at everything, prints."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Annotated

import typer
from rich.console import Console

from agegender.commands.audit.counters import Counters, scrape, scrape_those_that_answer
from agegender.commands.audit.counting import tally
from agegender.commands.audit.evidence import gather
from agegender.commands.audit.one_process import balances_of_one_process
from agegender.commands.audit.prometheus import counters_with_history
from agegender.commands.audit.report import Report
from agegender.commands.kafka_client import kafka_reader
from agegender.commands.run.session import start_process
from agegender.shared.errors import SettingsError
from agegender.shared.kafka.topics import FACES, FRAMES
from agegender.shared.process.settings import KafkaSettings, RedisSettings
from agegender.shared.store import connect
from agegender.shared.times import EXPECTED, parse_time_s

_USUAL = tuple(f"http://127.0.0.1:{port}/metrics" for port in (9100, 9101, 9102, 9103, 9104))
_LOOKS = 4
_PAUSE_S = 1.0
_HINT = "What workers that have ended had counted is not in this; --prometheus adds it."
_LONGEST_S = min(FRAMES.retention_s, FACES.retention_s)


def audit(
    metrics: Annotated[
        list[str] | None,
        typer.Option(help="Address of a worker's /metrics; once for each of all workers that there are."),
    ] = None,
    prometheus: Annotated[
        str | None,
        typer.Option(
            help="Address of a Prometheus that scrapes the workers: it knows what ended ones had counted."
        ),
    ] = None,
    since: Annotated[
        str, typer.Option(help=f"Look at what is in the topics since: {EXPECTED}. Kafka keeps 10 minutes.")
    ] = "5m",
    as_json: Annotated[bool, typer.Option("--json", help="The report as one JSON object.")] = False,
) -> None:
    """Adds up what was captured, published, dropped, found, classified, written and given up.

    Each number says where it comes from: the metrics of the workers, the topics and positions in Kafka, the
    store. Fails when something does not add up, and says what. Without addresses the workers on this machine
    are asked. Of `agegender run`, which has no Kafka, the metrics alone are looked at.
    """
    start_process()
    report = settled(lambda: _look(metrics, prometheus, _window_s(since)))
    if not report.balanced and prometheus is None:
        report = report.with_note(_HINT)
    if as_json:
        typer.echo(json.dumps(report.record()))
    else:
        Console().print(report.draw(), highlight=False)
    if not report.balanced:
        raise typer.Exit(1)


def settled(look: Callable[[], Report], looks: int = _LOOKS, pause_s: float = _PAUSE_S) -> Report:
    """The report once it balances, or else the last.

    What a worker has done and not yet counted is gone at the next look; what is wrong stays.
    """
    for _ in range(looks - 1):
        report = look()
        if report.balanced:
            return report
        time.sleep(pause_s)
    return look()


def _look(addresses: Sequence[str] | None, prometheus: str | None, window_s: float) -> Report:
    def counters() -> Counters:
        if prometheus is not None:
            return counters_with_history(prometheus, addresses, window_s)
        return scrape(addresses) if addresses else scrape_those_that_answer(_USUAL)

    first = counters()
    if first.one_process:
        return Report(balances_of_one_process(first))
    kafka = KafkaSettings.load()
    with kafka_reader(kafka, "an audit") as reader, connect(RedisSettings.load()) as client:
        return Report.of(tally(gather(reader, kafka, client, counters, window_s)))


def _window_s(since: str) -> float:
    now_s = time.time()
    try:
        window_s = now_s - parse_time_s(since, now_s)
    except ValueError as error:
        raise SettingsError(f"--since: {error}") from None
    if not 0 < window_s <= _LONGEST_S:
        raise SettingsError(
            f"--since: expected a time within the last {_LONGEST_S // 60} minutes, which Kafka keeps, "
            f"got {since!r}"
        )
    return window_s
