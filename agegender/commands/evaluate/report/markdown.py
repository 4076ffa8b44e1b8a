"""The report in Markdown, with its pictures and the table of all answers beside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from agegender.commands.evaluate.answers import write_answers
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
from agegender.commands.evaluate.report.confusion import confusion_svg
from agegender.commands.evaluate.report.differences import differences_svg
from agegender.commands.evaluate.run import Evaluated, Evaluations

REPORT, DIFFERENCES = "report.md", "differences.svg"

T = TypeVar("T")


def write_report(found: Evaluations, folder: Path) -> Path:
    """Writes the report, its pictures and the answers into `folder`, made where needed; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    for one, suffix in zip(found.of, _suffixes(found), strict=True):
        (folder / f"ages{suffix}.svg").write_text(confusion_svg(one.figures.confusion), encoding="utf-8")
        write_answers(folder / f"answers{suffix}.csv", one.classified)
    if found.comparison is not None:
        (folder / DIFFERENCES).write_text(differences_svg(found.comparison), encoding="utf-8")
    path = folder / REPORT
    path.write_text(markdown(found), encoding="utf-8")
    return path


def markdown(found: Evaluations) -> str:
    """The report. It names no path of this machine."""
    names = " and ".join(f"`{one.name}`" for one in found.of)
    lines = [
        f"# Ages and genders of {_plain(found.dataset)}",
        "",
        f"`agegender evaluate` {version('agegender')} classified the faces in the middle of labelled "
        f"pictures with {names}. The labels have the SHA-256 `{found.labels_sha256}`.",
        "",
    ]
    if found.comparison is not None:
        lines += _comparison(found.comparison, found.of)
    for one, suffix in zip(found.of, _suffixes(found), strict=True):
        lines += _evaluation(one, suffix)
    notes = [*(DIFFERENCE_NOTES if found.comparison else ()), *AGE_NOTES, *GENDER_NOTES, *COMMON_NOTES]
    lines += ["## How to read the figures", "", *(f"- {note}" for note in notes)]
    lines += ["- Faces of one collection say little about other people, cameras and light."]
    return "\n".join(lines) + "\n"


def _comparison(comparison: Comparison, of: Sequence[Evaluated]) -> Iterator[str]:
    yield "## Comparison"
    yield ""
    yield f"A is `{of[0].name}`, B is `{of[1].name}`."
    yield f"Classified by A alone: {comparison.only_a} faces, by B alone: {comparison.only_b}."
    yield ""
    yield f"![Differences of B and A with their intervals]({DIFFERENCES})"
    yield ""
    overall, groups = comparison.overall, comparison.groups
    yield from _tables(AGE_DIFFERENCES, overall, groups, age_difference_cells)
    yield from _tables(GENDER_DIFFERENCES, overall, groups, gender_difference_cells)


def _evaluation(one: Evaluated, suffix: str) -> Iterator[str]:
    figures = one.figures
    yield f"## {one.name}"
    yield ""
    yield f"{accounts(figures)}."
    yield ""
    if one.is_fitted_to_these:
        yield f"**{FITTED}**"
        yield ""
    if exact := exact_error(figures.overall):
        yield f"{exact}."
        yield ""
    yield f"![True ages and the ages read](ages{suffix}.svg)"
    yield ""
    yield from _tables(AGES, figures.overall, figures.groups, age_cells)
    yield from _tables(GENDERS, figures.overall, figures.groups, gender_cells)
    if figures.unreadable:
        yield "### Not readable"
        yield ""
        yield from (f"- {_plain(file)}: {_plain(why)}" for file, why in figures.unreadable.items())
        yield ""


def _tables(
    columns: Columns, overall: T, groups: Mapping[str, Mapping[str, T]], cells: Callable[[T], Sequence[str]]
) -> Iterator[str]:
    """A table for each way to split the faces; its first cell names it."""
    yield f"### {columns.title}"
    yield ""
    for title, rows in ({"": {"all": overall}} | dict(groups)).items():
        heading = f"by {_plain(title)}" if title else ""
        yield f"| {' | '.join((heading, *columns.names))} |"
        yield f"|---|{'---:|' * len(columns.names)}"
        yield from (f"| {' | '.join((_plain(name), *cells(one)))} |" for name, one in rows.items())
        yield ""


def _suffixes(found: Evaluations) -> Sequence[str]:
    """What tells the files of the two apart; empty for one alone."""
    return [""] if len(found.of) == 1 else ["-a", "-b"]


def _plain(text: str) -> str:
    """A text from outside, with nothing that Markdown would take for its own."""
    return re.sub(r"([\\`*_{}\[\]<>#|])", r"\\\1", " ".join(text.split()))
