"""`agegender evaluate`: the options."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def evaluate(
    dataset: Annotated[
        Path, typer.Argument(help="A folder with labels.csv or UTKFace's file names, or FairFace's .csv.")
    ],
    output: Annotated[
        Path | None, typer.Option(help="Write report.md and confusion.svg into this folder.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The figures as one JSON object.")] = False,
) -> None:
    """Measures age error, intervals and genders on labelled faces.

    The figures are split by age, by group and by the size of the faces.
    """
    from rich.console import Console

    from agegender.commands.evaluate.report import drawn, write_report
    from agegender.commands.evaluate.run import evaluate_dataset
    from agegender.commands.process import start_process
    from agegender.shared.errors import AgeGenderError

    start_process()
    found = evaluate_dataset(dataset, Console(stderr=True))
    if output is not None:
        try:
            path = write_report(found, dataset.resolve().name, output)
        except OSError as error:
            raise AgeGenderError(f"cannot write to {str(output)!r}: {error.strerror}") from None
        typer.echo(f"The report is in {path}", err=True)
    if as_json:
        typer.echo(json.dumps(asdict(found)))
    else:
        Console().print(drawn(found))
