"""Tables and names that fit the terminal. Where there is none, as in a pipe, nothing is cut."""

from __future__ import annotations

import os
import sys

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderResult
from rich.measure import Measurement
from rich.text import Text

_UNLIMITED = 10_000
_LEAST_CELLS = 12


def terminal_width() -> int | None:
    """Cells of a line of standard output; None where it is no terminal and COLUMNS says nothing."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    return Console().width if sys.stdout.isatty() else None


def table_console() -> Console:
    """Prints tables to standard output, as wide as it is."""
    return Console(width=terminal_width() or _UNLIMITED)


def cut_in_the_middle(text: str, cells: int) -> str:
    """`text`, or its two ends around `…`, in at most `cells` cells of a terminal. Begin and end tell most."""
    if cell_len(text) <= cells:
        return text
    if cells < 3:
        return "…"[:cells]
    head, tail = text, text
    while cell_len(head) > (cells - 1) // 2:
        head = head[:-1]
    while cell_len(tail) > cells - 1 - cell_len(head):
        tail = tail[1:]
    return f"{head}…{tail}"


class Name:
    """A cell with a name, which gives way before the other columns of a table."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The name, cut to the cells that it gets."""
        yield Text(cut_in_the_middle(self._text, options.max_width), no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """The cells that it wants, and those that it needs."""
        wanted = cell_len(self._text)
        return Measurement(min(wanted, _LEAST_CELLS), min(wanted, options.max_width))


class FirstThatFits:
    """The first of some forms of the same that fits the terminal; else the last."""

    def __init__(self, *forms: ConsoleRenderable) -> None:
        self._forms = forms

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The form."""
        unlimited = options.update(width=_UNLIMITED)
        fitting = (
            form
            for form in self._forms
            if Measurement.get(console, unlimited, form).maximum <= options.max_width
        )
        yield next(fitting, self._forms[-1])
