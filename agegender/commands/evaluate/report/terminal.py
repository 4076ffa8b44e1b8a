"""The figures of an evaluation on the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from agegender.commands.evaluate.paired import Comparison
from agegender.commands.evaluate.report.cells import (
    AGE_DIFFERENCES,
    AGE_NOTES,
    AGES,
    COMMON_NOTES,
    DIFFERENCE_NOTES,
    FITTED,
    GENDER_DIFFERENCES,
    GENDER_NOTES,
    GENDERS,
    Columns,
    accounts,
    age_cells,
    age_difference_cells,
    exact_error,
    gender_cells,
    gender_difference_cells,
)
from agegender.commands.evaluate.run import Evaluated, Evaluations

_NOTES_WIDTH, _WIDEST = 100, 10_000

T = TypeVar("T")
Groups = Mapping[str, Mapping[str, T]]


def print_evaluations(found: Evaluations, console: Console) -> None:
    """Prints the comparison, or else the figures of the one pack.

    No heading and no figure is cut: where the terminal is too narrow, its lines are broken instead.
    """
    for one in found.of:
        console.print(f"{one.name}: {accounts(one.figures)}", highlight=False, markup=False)
        if one.is_fitted_to_these:
            console.print(FITTED, style="bold")
    shown = _compared(found.comparison, found.of) if found.comparison else _evaluated(found.of[0])
    notes_width = min(console.width, _NOTES_WIDTH)
    for part in shown:
        if isinstance(part, Text):
            console.print(part, width=notes_width)
        else:
            console.width = max(console.width, _full_width(part, console))
            console.print(part, crop=False)
    for file, why in found.of[0].figures.unreadable.items():
        console.print(f"{file}: {why}", highlight=False, markup=False)


def _full_width(part: RenderableType, console: Console) -> int:
    """The columns that the widest line needs."""
    return console.measure(part, options=console.options.update(max_width=_WIDEST)).maximum


def _evaluated(one: Evaluated) -> Iterator[RenderableType]:
    figures = one.figures
    yield _table(AGES, {"all": figures.overall}, figures.groups, age_cells)
    exact = exact_error(figures.overall)
    yield _notes([*([exact] if exact else []), *AGE_NOTES])
    yield _table(GENDERS, {"all": figures.overall}, figures.groups, gender_cells)
    yield _notes([*GENDER_NOTES, *COMMON_NOTES])


def _compared(comparison: Comparison, of: Sequence[Evaluated]) -> Iterator[RenderableType]:
    overall, groups = {"all": comparison.overall}, comparison.groups
    yield _notes([f"A is {of[0].name}, B is {of[1].name}."])
    yield _table(AGE_DIFFERENCES, overall, groups, age_difference_cells)
    yield _table(GENDER_DIFFERENCES, overall, groups, gender_difference_cells)
    only = f"Classified by A alone: {comparison.only_a} faces, by B alone: {comparison.only_b}."
    yield _notes([only, *DIFFERENCE_NOTES, AGE_NOTES[0], COMMON_NOTES[0]])


def _table(
    columns: Columns, overall: Mapping[str, T], groups: Groups[T], cells: Callable[[T], Sequence[str]]
) -> Table:
    """One row for all faces, then each way to split them under its name."""
    table = Table(title=columns.title, title_justify="left", box=SIMPLE_HEAD, show_edge=False)
    table.padding = (0, 1, 0, 0)
    table.add_column("", no_wrap=True)
    for name in columns.names:
        table.add_column(name, justify="right", no_wrap=True)
    for name, one in overall.items():
        table.add_row(name, *cells(one))
    for title, rows in groups.items():
        table.add_section()
        table.add_row(Text(f"by {title}", style="bold"))
        for name, one in rows.items():
            table.add_row(Text(f"  {name}"), *cells(one))
    return table


def _notes(lines: Sequence[str]) -> Text:
    return Text("\n".join(lines) + "\n")
