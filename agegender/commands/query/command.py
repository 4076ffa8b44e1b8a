"""`agegender query …`: reads the command line, asks the store, prints."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, get_args

import typer
from rich.console import Console, RenderableType

from agegender.commands.query.records import (
    CAMERA_COLUMNS,
    COUNT_COLUMNS,
    VISIT_COLUMNS,
    Record,
    camera_record,
    count_record,
    csv_writer,
    visit_record,
    write_json,
)
from agegender.commands.query.tables import cameras_table, counts_table, visit_line, visits_table
from agegender.commands.records import results_table, stored_record
from agegender.commands.run.session import start_process, store_for_reading
from agegender.shared.errors import SettingsError
from agegender.shared.messages.pipeline import AGE_BANDS, Gender
from agegender.shared.messages.visits import UNKNOWN_BAND, Visit
from agegender.shared.process.settings import RedisSettings
from agegender.shared.runtime.service import stop_on_signals
from agegender.shared.store import Period, ResultStore, given_out
from agegender.shared.store.small_counts import NOTHING_LEFT_OUT
from agegender.shared.times import EXPECTED, parse_time_s

query = typer.Typer(
    help="Asks the store: who is there, who was, how many.",
    no_args_is_help=True,
    add_completion=False,
)

_WATCH_WAIT_S = 1.0
_PAGE = 1_000
_AHEAD_S = 86_400.0  # the end of a film that is read faster than it plays lies in the future
_BANDS = (*AGE_BANDS, UNKNOWN_BAND)
_GENDERS: tuple[str, ...] = get_args(Gender)

Cameras = Annotated[
    list[str] | None, typer.Option("--camera", help="Only of this camera; may be given several times.")
]
Bands = Annotated[
    list[str] | None,
    typer.Option("--age-band", help=f"Only of this age: {', '.join(_BANDS)}; several times."),
]
Genders = Annotated[
    list[str] | None,
    typer.Option("--gender", help=f"Only of this gender: {', '.join(_GENDERS)}; several times."),
]
Since = Annotated[str, typer.Option(help=f"From this time on: {EXPECTED}.")]
Until = Annotated[str | None, typer.Option(help="Before this time; without it, to the newest.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="Comma-separated values with a heading.")]


@query.command()
def cameras(as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """The cameras that the store knows, and whether they are live."""
    with _store() as store:
        found = store.cameras()
    _print(
        [camera_record(one) for one in found],
        CAMERA_COLUMNS,
        lambda: cameras_table(found, time.time()),
        "No camera has been seen yet.",
        as_json=as_json,
        as_csv=as_csv,
    )


@query.command()
def now(camera: Cameras = None, as_json: AsJson = False, as_csv: AsCsv = False) -> None:
    """Who is there now."""
    with _store() as store:
        found = store.now(camera)
    _print_visits("There now", found, "Nobody is there now.", as_json=as_json, as_csv=as_csv)


@query.command()
def visits(
    camera: Cameras = None,
    since: Since = "24h",
    until: Until = None,
    age_band: Bands = None,
    gender: Genders = None,
    limit: Annotated[int, typer.Option(help="How many of the newest.", min=1)] = 50,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Who was there, by the time when they were first seen, the newest first."""
    since_s, until_s = _range(since, until)
    bands, genders = _chosen("--age-band", age_band, _BANDS), _chosen("--gender", gender, _GENDERS)
    found: list[Visit] = []
    with _store() as store:
        before: str | None = None
        while len(found) < limit:
            page = store.visits(
                camera_ids=camera,
                since_s=since_s,
                until_s=until_s,
                age_bands=bands,
                genders=genders,
                limit=min(_PAGE, limit - len(found)),
                before=before,
            )
            found += page.items
            before = page.next
            if before is None:
                break
    _print_visits("Visits", found, "Nobody was there then.", as_json=as_json, as_csv=as_csv)


@query.command()
def counts(
    camera: Cameras = None,
    since: Since = "24h",
    until: Until = None,
    by: Annotated[Period, typer.Option(help="How long each count is.")] = "hour",
    age_band: Bands = None,
    gender: Genders = None,
    least: Annotated[
        int,
        typer.Option(
            help="Add up or leave out numbers under this one, 3 or more, so that nobody is told by them."
        ),
    ] = NOTHING_LEFT_OUT,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """How many persons came, by time, age band and gender. Days are those of UTC."""
    since_s, until_s = _range(since, until)
    if least != NOTHING_LEFT_OUT and (age_band or gender):
        raise SettingsError("give --least without --age-band and --gender: the rest could be subtracted")
    bands, genders = _chosen("--age-band", age_band, _BANDS), _chosen("--gender", gender, _GENDERS)
    with _store() as store:
        try:
            found = store.counts(since_s=since_s, until_s=until_s, by=by, camera_ids=camera)
        except ValueError as error:
            raise SettingsError(str(error)) from None
    chosen = [
        one
        for one in found
        if (bands is None or one.age_band in bands) and (genders is None or one.gender in genders)
    ]
    try:
        given = given_out(chosen, least, by, time.time())
    except ValueError as error:
        raise SettingsError(f"--least: {error}") from None
    _print(
        [count_record(one) for one in given],
        COUNT_COLUMNS,
        lambda: counts_table(given, by),
        "Nobody was counted then.",
        as_json=as_json,
        as_csv=as_csv,
    )


@query.command()
def watch(
    camera: Cameras = None,
    seconds: Annotated[float | None, typer.Option(help="End after this long; without it, go on.")] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Prints everybody who leaves, as it happens, until it is stopped."""
    say = _sayer(as_json=as_json, as_csv=as_csv)
    stop = stop_on_signals()
    end_s = None if seconds is None else time.monotonic() + seconds
    with _store() as store:
        cursor = None
        while not stop.is_set() and (end_s is None or time.monotonic() < end_s):
            left, cursor = store.closed(cursor, camera_ids=camera, wait_s=_WATCH_WAIT_S)
            for visit in left:
                say(visit)


@query.command()
def faces(
    camera: Annotated[str, typer.Argument(help="The camera.")],
    limit: Annotated[int, typer.Option(help="How many of the newest.", min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """The single faces that were classified last, the newest last."""
    with _store() as store:
        results = store.results(camera, limit)
    if not results:
        Console(stderr=True).print(f"No results of camera {camera!r}.", highlight=False)
        raise typer.Exit(1)
    if as_json:
        write_json((stored_record(one) for one in results), sys.stdout)
    else:
        Console().print(results_table(camera, results))


@contextlib.contextmanager
def _store() -> Iterator[ResultStore]:
    with store_for_reading(RedisSettings.load(), start_process()) as store:
        yield store


def _range(since: str, until: str | None) -> tuple[float, float]:
    now_s = time.time()
    try:
        since_s = parse_time_s(since, now_s)
        until_s = now_s + _AHEAD_S if until is None else parse_time_s(until, now_s)
    except ValueError as error:
        raise SettingsError(str(error)) from None
    if since_s >= until_s:
        raise SettingsError(f"expected --since before --until, got {since!r} and {until or 'now'!r}")
    return since_s, until_s


def _chosen(option: str, chosen: Sequence[str] | None, known: Sequence[str]) -> Sequence[str] | None:
    """What was chosen, None for all."""
    for one in chosen or ():
        if one not in known:
            raise SettingsError(f"{option}: expected one of {', '.join(known)}, got {one!r}")
    return chosen or None


def _print_visits(title: str, found: Sequence[Visit], nobody: str, *, as_json: bool, as_csv: bool) -> None:
    _print(
        [visit_record(one) for one in found],
        VISIT_COLUMNS,
        lambda: visits_table(title, found),
        nobody,
        as_json=as_json,
        as_csv=as_csv,
    )


def _print(
    records: Sequence[Record],
    columns: Sequence[str],
    table: Callable[[], RenderableType],
    nothing: str,
    *,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Records for programs, which take nothing for an answer; a table or a sentence for people."""
    _one_format(as_json=as_json, as_csv=as_csv)
    if as_json:
        write_json(records, sys.stdout)
    elif as_csv:
        write = csv_writer(sys.stdout, columns)
        for record in records:
            write(record)
    elif records:
        Console().print(table())
    else:
        Console(stderr=True).print(nothing)


def _sayer(*, as_json: bool, as_csv: bool) -> Callable[[Visit], None]:
    _one_format(as_json=as_json, as_csv=as_csv)
    if as_json:
        return lambda visit: write_json([visit_record(visit)], sys.stdout)
    if as_csv:
        write = csv_writer(sys.stdout, VISIT_COLUMNS)
        return lambda visit: write(visit_record(visit))
    return lambda visit: typer.echo(visit_line(visit))


def _one_format(*, as_json: bool, as_csv: bool) -> None:
    if as_json and as_csv:
        raise SettingsError("give either --json or --csv, not both")
