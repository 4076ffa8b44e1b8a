"""`agegender analyze`: the options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def analyze(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Pictures, videos, folders of them, globs, RTSP URLs, or - for standard input.",
            metavar="INPUT...",
            show_default=False,
        ),
    ] = None,
    camera: Annotated[
        int | None, typer.Option(help="The number of a webcam of this machine, from 0.", min=0)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines instead of the table.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV instead of the table.")] = False,
    people: Annotated[
        bool, typer.Option("--people", help="Of videos and cameras: only the people and totals, no faces.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write the rows to this file: x.csv as CSV, x.jsonl or x.json as JSON Lines.",
        ),
    ] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write copies with boxes and labels; copies of videos have no sound. "
            "Copies of earlier runs are replaced, other files never.",
        ),
    ] = None,
    blur: Annotated[bool, typer.Option("--blur", help="Anonymize the faces in the copies.")] = False,
    labels: Annotated[
        bool, typer.Option("--labels/--no-labels", help="Draw boxes and labels in the copies.")
    ] = True,
    show: Annotated[bool, typer.Option("--show", help="Open a window with the copies.")] = False,
    fps: Annotated[
        str | None,
        typer.Option(
            metavar="N|all",
            help="Frames a second of a video to analyze. Default: 5, or all frames if copies are made.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Seconds to watch each camera; without it, until Ctrl-C.", min=0.1)
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an earlier run that stopped, and retry what failed.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Pictures analyzed at the same time. Default: one per core.", min=1)
    ] = None,
) -> None:
    """Finds the faces in pictures, videos and cameras, and estimates their age and gender.

    Exit status: 0 done, 1 an input could not be read or a copy not written, 2 wrong usage, 130 interrupted.
    """
    from agegender.shared.images.opencv import check_opencv

    check_opencv()  # before modules that need what OpenCV 4 does not have
    from agegender.commands.analyze.session import AnalyzeOptions, analyze_all

    options = AnalyzeOptions(
        inputs=inputs or (),
        camera=camera,
        as_json=as_json,
        as_csv=as_csv,
        people=people,
        output=output,
        annotate=annotate,
        blur=blur,
        labels=labels,
        show=show,
        fps=fps,
        seconds=seconds,
        resume=resume,
        workers=workers,
    )
    raise typer.Exit(analyze_all(options))
