"""What a query asks the store, and how it prints the answer."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Self, get_args
from zoneinfo import ZoneInfo

from rich.console import Console, RenderableType

from agegender.commands.process import start_process
from agegender.commands.query import tables
from agegender.commands.query.records import (
    CAMERA_COLUMNS,
    COUNT_COLUMNS,
    VISIT_COLUMNS,
    FlatRecord,
    camera_record,
    count_record,
    csv_writer,
    stored_face_record,
    visit_record,
    write_json,
)
from agegender.commands.stores import store_for_reading
from agegender.commands.terminal import table_console
from agegender.shared.errors import SettingsError
from agegender.shared.messages.pipeline import AGE_BANDS, Gender
from agegender.shared.messages.visits import UNKNOWN_BAND, Visit
from agegender.shared.process.settings import RedisSettings
from agegender.shared.process.signals import stop_on_signals
from agegender.shared.store import Period, ResultStore, given_out
from agegender.shared.store.small_counts import NOTHING_LEFT_OUT
from agegender.shared.times import parse_time_s, parse_zone

_WATCH_WAIT_S = 1.0
_PAGE = 1_000
_AHEAD_S = 86_400.0  # a video file read faster than it plays has times that lie in the future
_BANDS = (*AGE_BANDS, UNKNOWN_BAND)
_GENDERS: tuple[str, ...] = get_args(Gender)


@dataclass(frozen=True, slots=True)
class Form:
    """How answers are printed: as a table, as JSON or as CSV, with times of one zone."""

    kind: Literal["table", "json", "csv"]
    zone: ZoneInfo | None
    """None: the local time of this machine."""

    @classmethod
    def of(cls, *, as_json: bool = False, as_csv: bool = False, tz: str | None = None) -> Self:
        """From the options; raises SettingsError where they contradict each other or name no zone."""
        if as_json and as_csv:
            raise SettingsError("give either --json or --csv, not both")
        try:
            zone = None if tz is None else parse_zone(tz)
        except ValueError as error:
            raise SettingsError(f"--tz: {error}") from None
        return cls("json" if as_json else "csv" if as_csv else "table", zone)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which visits are asked for; None selects all."""

    camera_ids: Sequence[str] | None
    since_s: float
    until_s: float
    age_bands: Sequence[str] | None
    genders: Sequence[str] | None

    @classmethod
    def of(
        cls,
        form: Form,
        camera_ids: Sequence[str] | None,
        since: str,
        until: str | None,
        age_bands: Sequence[str] | None,
        genders: Sequence[str] | None,
    ) -> Self:
        """From the options; raises SettingsError for an unknown time, age band or gender."""
        now_s = time.time()
        try:
            since_s = parse_time_s(since, now_s, form.zone)
            until_s = now_s + _AHEAD_S if until is None else parse_time_s(until, now_s, form.zone)
        except ValueError as error:
            raise SettingsError(str(error)) from None
        if since_s >= until_s:
            raise SettingsError(f"expected --since before --until, got {since!r} and {until or 'now'!r}")
        return cls(
            camera_ids,
            since_s,
            until_s,
            _known("--age-band", age_bands, _BANDS),
            _known("--gender", genders, _GENDERS),
        )


def cameras(form: Form) -> None:
    """Prints the cameras of the store."""
    with _store() as store:
        found = store.cameras()
    now_s = time.time()
    _print(
        form,
        [camera_record(one, now_s, form.zone) for one in found],
        CAMERA_COLUMNS,
        lambda: tables.cameras_table(found, now_s, form.zone),
        "The store knows no camera yet.",
    )


def now(form: Form, camera_ids: Sequence[str] | None) -> None:
    """Prints the visits that have not ended."""
    with _store() as store:
        found = store.now(camera_ids)
    _print_visits(form, "There now", found, "No person is there now.")


def visits(form: Form, asked: Filter, limit: int) -> None:
    """Prints at most `limit` visits, the newest first."""
    found: list[Visit] = []
    with _store() as store:
        before: str | None = None
        while len(found) < limit:
            page = store.visits(
                camera_ids=asked.camera_ids,
                since_s=asked.since_s,
                until_s=asked.until_s,
                age_bands=asked.age_bands,
                genders=asked.genders,
                limit=min(_PAGE, limit - len(found)),
                before=before,
            )
            found += page.items
            before = page.next
            if before is None:
                break
    _print_visits(form, "Visits", found, "No visit began in this time.")


def counts(form: Form, asked: Filter, by: Period, least: int) -> None:
    """Prints how many visits began, by time, age band and gender.

    Args:
        least: counts below it are added up or left out.
    """
    if least != NOTHING_LEFT_OUT and (asked.age_bands or asked.genders):
        raise SettingsError("give --least without --age-band and --gender: the rest could be subtracted")
    with _store() as store:
        try:
            found = store.counts(
                since_s=asked.since_s, until_s=asked.until_s, by=by, camera_ids=asked.camera_ids
            )
        except ValueError as error:
            raise SettingsError(str(error)) from None
    chosen = [
        one
        for one in found
        if (asked.age_bands is None or one.age_band in asked.age_bands)
        and (asked.genders is None or one.gender in asked.genders)
    ]
    try:
        given = given_out(chosen, least, by, time.time())
    except ValueError as error:
        raise SettingsError(f"--least: {error}") from None
    _print(
        form,
        [count_record(one, by, form.zone) for one in given],
        COUNT_COLUMNS,
        lambda: tables.counts_table(given, by, form.zone),
        "No visit was counted in this time.",
    )


def watch(form: Form, camera_ids: Sequence[str] | None, seconds: float | None) -> None:
    """Prints each visit when it ends, until a signal arrives or `seconds` are over."""
    write = _visit_writer(form)
    stop = stop_on_signals()
    end_s = None if seconds is None else time.monotonic() + seconds
    with _store() as store:
        cursor = None
        while not stop.is_set() and (end_s is None or time.monotonic() < end_s):
            ended, cursor = store.closed(cursor, camera_ids=camera_ids, wait_s=_WATCH_WAIT_S)
            for visit in ended:
                write(visit)


def faces(form: Form, camera_id: str, limit: int) -> bool:
    """Prints the faces of a camera that were classified last; returns False where there are none."""
    with _store() as store:
        results = store.results(camera_id, limit)
    if not results:
        Console(stderr=True).print(f"No results of camera {camera_id!r}.", highlight=False)
        return False
    if form.kind == "json":
        write_json((stored_face_record(one, form.zone) for one in results), sys.stdout)
    else:
        table_console().print(tables.faces_table(camera_id, results, form.zone))
    return True


@contextlib.contextmanager
def _store() -> Iterator[ResultStore]:
    with store_for_reading(RedisSettings.load(), start_process()) as store:
        yield store


def _known(option: str, chosen: Sequence[str] | None, known: Sequence[str]) -> Sequence[str] | None:
    for one in chosen or ():
        if one not in known:
            raise SettingsError(f"{option}: expected one of {', '.join(known)}, got {one!r}")
    return chosen or None


def _print_visits(form: Form, title: str, found: Sequence[Visit], none_found: str) -> None:
    _print(
        form,
        [visit_record(one, form.zone) for one in found],
        VISIT_COLUMNS,
        lambda: tables.visits_table(title, found, form.zone),
        none_found,
    )


def _print(
    form: Form,
    records: Sequence[FlatRecord],
    columns: Sequence[str],
    table: Callable[[], RenderableType],
    none_found: str,
) -> None:
    """Records for programs, also when there are none; for people a table, or the sentence `none_found`."""
    if form.kind == "json":
        write_json(records, sys.stdout)
    elif form.kind == "csv":
        write = csv_writer(sys.stdout, columns)
        for record in records:
            write(record)
    elif records:
        table_console().print(table())
    else:
        Console(stderr=True).print(none_found)


def _visit_writer(form: Form) -> Callable[[Visit], None]:
    if form.kind == "json":
        return lambda visit: write_json([visit_record(visit, form.zone)], sys.stdout)
    if form.kind == "csv":
        write = csv_writer(sys.stdout, VISIT_COLUMNS)
        return lambda visit: write(visit_record(visit, form.zone))
    return lambda visit: print(tables.visit_line(visit, form.zone), flush=True)  # noqa: T201
