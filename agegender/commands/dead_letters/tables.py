"""Dead letters as tables for people and records for programs. The content of a message is never shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, tzinfo

from rich.table import Table

from agegender.commands.dead_letters.letters import Letter
from agegender.commands.dead_letters.replay import Replayed


def letter_record(letter: Letter) -> dict[str, object]:
    """One letter as plain values, ready for JSON. Times are seconds since 1970 UTC."""
    return {
        "letter": letter.position,
        "written_at_s": letter.written_at_s,
        "service": letter.service,
        "reason": letter.reason,
        "origin": letter.origin,
        "camera": letter.camera_id,
        "value_bytes": letter.value_bytes,
        "carries_message": letter.carries_message,
        "replayed": letter.replayed,
    }


def replayed_record(one: Replayed) -> dict[str, object]:
    """One letter and what became of it."""
    return {**letter_record(one.letter), "fate": one.fate.value}


def letters_table(letters: Sequence[Letter], zone: tzinfo | None = None) -> Table:
    """One letter a row. `zone`: of the times; None: local time."""
    table = Table(title="Dead letters", title_justify="left")
    for name in ("written", "service", "camera", "reason", "origin", "size", ""):
        table.add_column(name, justify="right" if name == "size" else "left", overflow="fold")
    for one in letters:
        table.add_row(
            _stamp(one.written_at_s, zone),
            one.service,
            one.camera_id or "?",
            one.reason,
            one.origin,
            f"{one.value_bytes} B",
            "replayed" if one.replayed else "",
        )
    return table


def summary_records(letters: Sequence[Letter]) -> Sequence[dict[str, object]]:
    """The number of letters for each service and reason, the largest first."""
    numbers = Counter((one.service, one.reason) for one in letters)
    replayed = Counter((one.service, one.reason) for one in letters if one.replayed)
    return [
        {"service": kind[0], "reason": kind[1], "letters": number, "replayed": replayed[kind]}
        for kind, number in numbers.most_common()
    ]


def summary_table(letters: Sequence[Letter]) -> Table:
    """The number of letters for each service and reason, as a table."""
    table = Table(title="Dead letters by reason", title_justify="left")
    for name in ("letters", "replayed", "service", "reason"):
        table.add_column(name, justify="right" if name in ("letters", "replayed") else "left")
    for one in summary_records(letters):
        table.add_row(*(str(one[name]) for name in ("letters", "replayed", "service", "reason")))
    return table


def replay_table(outcomes: Sequence[Replayed], zone: tzinfo | None = None) -> Table:
    """What became of each letter. `zone`: of the times; None: local time."""
    table = Table(title="Replay", title_justify="left")
    for name in ("written", "origin", "reason", "replay"):
        table.add_column(name, overflow="fold")
    for one in outcomes:
        letter = one.letter
        table.add_row(_stamp(letter.written_at_s, zone), letter.origin, letter.reason, one.fate.value)
    return table


def _stamp(time_s: float, zone: tzinfo | None) -> str:
    return f"{datetime.fromtimestamp(time_s, zone):%Y-%m-%d %H:%M:%S}"
