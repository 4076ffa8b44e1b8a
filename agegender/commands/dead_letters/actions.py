"""What `agegender dead-letters` does: reads the topic, replays, prints."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Mapping
from zoneinfo import ZoneInfo

import typer
from rich.console import Console, RenderableType

from agegender.commands.dead_letters.letters import Letter, LetterFilter, read_letters
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
from agegender.commands.process import start_process, time_option
from agegender.shared.errors import SettingsError
from agegender.shared.process.settings import KafkaSettings
from agegender.shared.times import parse_zone

_PURPOSE = "the dead letters"


def selected(
    service: str | None,
    reason: str | None,
    topic: str | None,
    camera: str | None,
    since: str | None,
    tz: str | None,
) -> LetterFilter:
    """The filter that the options describe; raises SettingsError for a malformed time or zone."""
    since_s = None if since is None else time_option("--since", since, tz, time.time())
    return LetterFilter(service, reason, topic, camera, since_s)


def list_letters(
    selection: LetterFilter, limit: int, *, summary: bool, tz: str | None, as_json: bool
) -> None:
    """Prints the newest letters, or with `summary` the number of letters by reason.

    Raises:
        NotNow: Kafka is away.
    """
    start_process()
    kafka = KafkaSettings.load()
    with kafka_reader(kafka, _PURPOSE) as reader:
        letters = read_letters(reader, kafka, selection.since_s)
    is_selected = selection.test(kafka)
    found = [one for one in letters if is_selected(one)]
    if summary:
        _print(summary_records(found), summary_table(found), as_json=as_json)
    else:
        newest = found[-limit:]
        _print(map(letter_record, newest), letters_table(newest, _zone(tz)), as_json=as_json)
    if not found:
        Console(stderr=True).print("No dead letters.")


def replay(
    selection: LetterFilter, limit: int, *, dry_run: bool, confirmed: bool, tz: str | None, as_json: bool
) -> bool:
    """Replays the newest letters that were not replayed yet; returns whether all were sent.

    Raises:
        NotNow: Kafka is away.
        SettingsError: a confirmation is needed, and there is no terminal to ask at.
    """
    start_process()
    kafka = KafkaSettings.load()
    is_selected = selection.test(kafka)
    with kafka_reader(kafka, _PURPOSE) as reader:
        letters = read_letters(reader, kafka, selection.since_s)
        chosen = [one for one in letters if is_selected(one) and not one.replayed][-limit:]
        if chosen and not (dry_run or confirmed):
            _ask(chosen)
        outcomes = list(Replay(reader, kafka, dry=dry_run).run(chosen))
    _print(map(replayed_record, outcomes), replay_table(outcomes, _zone(tz)), as_json=as_json)
    if not chosen:
        Console(stderr=True).print("No dead letters to replay.")
    return all(one.fate in (Fate.SENT, Fate.READY) for one in outcomes)


def _zone(tz: str | None) -> ZoneInfo | None:
    try:
        return None if tz is None else parse_zone(tz)
    except ValueError as error:
        raise SettingsError(f"--tz: {error}") from None


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
