"""The figures of an evaluation for people: a table on the terminal, a Markdown report with a plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table

from agegender.commands.evaluate.confusion import confusion_svg
from agegender.commands.evaluate.metrics import OPEN_END_YEARS, Evaluation, Scores

COLUMNS = (
    "faces",
    "classified",
    "age error",
    "bias",
    "interval",
    "covers",
    "gender right",
    "unknown",
    "likelier",
)
REPORT, PLOT = "report.md", "confusion.svg"


def cells(scores: Scores) -> tuple[str, ...]:
    """A row under COLUMNS; a dash where there is nothing to tell."""
    return (
        f"{scores.faces}",
        f"{scores.classified}",
        _years(scores.age_error_years),
        "-" if scores.age_bias_years is None else f"{scores.age_bias_years:+.1f}",
        _years(scores.interval_years),
        _share(scores.covered),
        _share(scores.gender_right),
        _share(scores.gender_unknown),
        _share(scores.likelier_right),
    )


def _years(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value * 100:.0f} %"


def sections(found: Evaluation) -> Iterator[tuple[str, Mapping[str, Scores]]]:
    """The tables of the report: what they are split by, and their rows."""
    yield "all", {"all": found.overall}
    yield "true age", found.by_age
    yield "age read", found.by_age_read
    yield "group", found.by_group
    yield "face height", found.by_size


def accounts(found: Evaluation) -> str:
    """What became of every picture, in one sentence."""
    unclassified = "".join(f", {number} {why}" for why, number in sorted(found.unclassified.items()))
    return (
        f"{found.pictures} pictures: {found.overall.classified} faces classified{unclassified}, "
        f"{found.missed} without a face, {len(found.unreadable)} not readable"
    )


def drawn(found: Evaluation) -> RenderableType:
    """For the terminal."""
    table = Table(title=accounts(found), title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True)
    for name in COLUMNS:
        table.add_column(name, justify="right")
    for number, (_, rows) in enumerate(sections(found)):
        if number:
            table.add_section()
        for name, scores in rows.items():
            table.add_row(name, *cells(scores))
    return Group(table, *(f"{file}: {why}" for file, why in found.unreadable.items()))


def markdown(found: Evaluation, dataset: str) -> str:
    """The report, with a plot that lies beside it."""
    lines = [f"# Ages and genders of {dataset}", "", f"{accounts(found)}.", ""]
    for title, rows in sections(found):
        lines += [f"| {' | '.join((title, *COLUMNS))} |", f"|---|{'---:|' * len(COLUMNS)}"]
        lines += [f"| {' | '.join((name, *cells(scores)))} |" for name, scores in rows.items()]
        lines.append("")
    lines += [f"![True ages and the ages read]({PLOT})", "", *_NOTES]
    if found.unreadable:
        lines += ["", "Not readable:", ""]
        lines += [f"- `{file}`: {why}" for file, why in found.unreadable.items()]
    return "\n".join(lines) + "\n"


_NOTES = (
    "- **age error**: mean distance in years from the age read to the span of the label, which lasts until",
    "  the next birthday; **bias**: the same with its sign, above 0 where ages are read too high.",
    "- **interval**, **covers**: mean width of the age interval in years, and how many hold the true age. A",
    "  label that is a span stands for a person drawn evenly from it; one without an end is taken to end at",
    f"  {OPEN_END_YEARS:.0f}.",
    "- **right**: of the faces that got a gender; **unknown**: of the classified faces; **likelier**: right",
    "  when the likelier gender is taken for each classified face.",
    "- Faces too small or too blurred to classify count under **faces** and nowhere else.",
)


def write_report(found: Evaluation, dataset: str, folder: Path) -> Path:
    """Writes the report and its plot into `folder`, which is made where needed; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PLOT).write_text(confusion_svg(found.confusion), encoding="utf-8")
    path = folder / REPORT
    path.write_text(markdown(found, dataset), encoding="utf-8")
    return path
