"""`agegender dead-letters …`: reads the command line, asks Kafka, prints."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping
from typing import Annotated

import typer
from rich.console import Console, RenderableType

from agegender.commands.dead_letters.letters import Choice, Letter, read_letters
from agegender.commands.dead_letters.replay import Fate, Replay
from agegender.commands.dead_letters.tables import (
    letter_record,
    letters_table,
    replay_table,
    replayed_record,
    summary_records,
    summary_table,
)
from agegender.commands.kafka_client import kafka_reader
from agegender.commands.run.session import start_process
from agegender.shared.errors import SettingsError
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.times import EXPECTED, parse_time_s

dead_letters = typer.Typer(
    help="What no service could process: looks at it, and tries it again.",
    no_args_is_help=True,
    add_completion=False,
)

_PURPOSE = "looking at dead letters"

Service = Annotated[str | None, typer.Option(help="Only those that this service found.")]
Reason = Annotated[str | None, typer.Option(help="Only those whose reason has this in it.")]
Topic = Annotated[str | None, typer.Option(help="Only those of this topic: frames, faces or results.")]
Camera = Annotated[str | None, typer.Option(help="Only those of this camera.")]
Since = Annotated[str | None, typer.Option(help=f"Only those written since: {EXPECTED}.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@dead_letters.command("list")
def list_letters(
    service: Service = None,
    reason: Reason = None,
    topic: Topic = None,
    camera: Camera = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(help="How many of the newest.", min=1)] = 20,
    summary: Annotated[bool, typer.Option("--summary", help="Count all of them by reason.")] = False,
    as_json: AsJson = False,
) -> None:
    """Lists the newest dead letters, the newest last."""
    start_process()
    kafka = KafkaSettings.load()
    choice = _choice(service, reason, topic, camera, since)
    with kafka_reader(kafka, _PURPOSE) as reader:
        found = [one for one in read_letters(reader, kafka, choice.since_s) if choice.test(kafka)(one)]
    if summary:
        _print(summary_records(found), summary_table(found), as_json=as_json)
    else:
        newest = found[-limit:]
        _print(map(letter_record, newest), letters_table(newest), as_json=as_json)
    if not found:
        Console(stderr=True).print("No dead letters.")


@dead_letters.command()
def replay(
    service: Service = None,
    reason: Reason = None,
    topic: Topic = None,
    camera: Camera = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(help="How many of the newest.", min=1)] = 100,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be sent.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Sends the bad messages back to their topics, in the order of their letters, each at most once.

    A message that its letter does not carry is read again where it came from, while its topic keeps it.
    Fails when some of the messages could not be sent.
    """
    start_process()
    kafka = KafkaSettings.load()
    choice = _choice(service, reason, topic, camera, since)
    with kafka_reader(kafka, _PURPOSE) as reader:
        letters = read_letters(reader, kafka, choice.since_s)
        chosen = [one for one in letters if choice.test(kafka)(one) and not one.replayed][-limit:]
        if chosen and not (dry_run or yes):
            _ask(chosen)
        outcomes = list(Replay(reader, kafka, dry=dry_run).run(chosen))
    _print(map(replayed_record, outcomes), replay_table(outcomes), as_json=as_json)
    if not chosen:
        Console(stderr=True).print("No dead letters to replay.")
    if any(one.fate not in (Fate.SENT, Fate.READY) for one in outcomes):
        raise typer.Exit(1)


def _choice(
    service: str | None, reason: str | None, topic: str | None, camera: str | None, since: str | None
) -> Choice:
    try:
        since_s = None if since is None else parse_time_s(since, time.time())
    except ValueError as error:
        raise SettingsError(f"--since: {error}") from None
    return Choice(service, reason, topic, camera, since_s)


def _ask(chosen: list[Letter]) -> None:
    if not sys.stdin.isatty():
        raise SettingsError(f"{len(chosen)} dead letters would be replayed: give --yes, or --dry-run to look")
    typer.confirm(f"Replay {len(chosen)} dead letters?", abort=True, err=True)


def _print(records: Iterable[Mapping[str, object]], table: RenderableType, *, as_json: bool) -> None:
    if as_json:
        for record in records:
            typer.echo(json.dumps(record))
    else:
        Console().print(table)
