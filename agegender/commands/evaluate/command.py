"""`agegender evaluate`: the options."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from agegender.commands.evaluate.run import Evaluations

app = typer.Typer(add_completion=False)

EXIT_UNREADABLE = 1
"""The labels, or some of the pictures, could not be read."""


@app.command()
def evaluate(
    dataset: Annotated[
        Path, typer.Argument(help="A folder with labels.csv or UTKFace's file names, or FairFace's .csv.")
    ],
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            metavar="A B",
            help="Compare two packs on the same faces, or the answers.csv of a report or of another model.",
        ),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Split by this column of the labels, too.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write report.md, its pictures and answers.csv into this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The figures as one JSON object.")] = False,
) -> None:
    """Measures age error, intervals and genders on labelled faces.

    The figures are split by age, by gender and by the size of the faces. The exit status is 1 if labels or
    pictures could not be read.
    """
    from rich.console import Console

    from agegender.commands.evaluate.dataset import DatasetError
    from agegender.commands.evaluate.report.markdown import write_report
    from agegender.commands.evaluate.report.terminal import print_evaluations
    from agegender.commands.evaluate.run import evaluate_dataset
    from agegender.commands.process import start_process
    from agegender.shared.errors import AgeGenderError

    start_process()
    try:
        found = evaluate_dataset(dataset, Console(stderr=True), compare=compare or (), columns=by or ())
    except DatasetError as error:
        typer.echo(f"agegender: {error}", err=True)
        raise typer.Exit(EXIT_UNREADABLE) from None
    if output is not None:
        try:
            path = write_report(found, output)
        except OSError as error:
            raise AgeGenderError(f"cannot write to {str(output)!r}: {error.strerror}") from None
        typer.echo(f"The report is in {path}", err=True)
    if as_json:
        typer.echo(json.dumps(_as_json(found)))
    else:
        print_evaluations(found, Console())
    if any(one.figures.unreadable for one in found.of):
        raise typer.Exit(EXIT_UNREADABLE)


def _as_json(found: Evaluations) -> dict[str, object]:
    """The figures of each pack or model, and the comparison."""
    evaluations = [
        {"name": one.name, "is_fitted_to_these": one.is_fitted_to_these, **asdict(one.figures)}
        for one in found.of
    ]
    return {
        "dataset": found.dataset,
        "labels_sha256": found.labels_sha256,
        "evaluations": evaluations,
        "comparison": None if found.comparison is None else asdict(found.comparison),
    }
