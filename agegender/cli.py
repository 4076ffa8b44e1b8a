"""The `agegender` command."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from agegender.commands.analyze.command import analyze
from agegender.commands.audit.command import audit
from agegender.commands.cameras.command import cameras_app
from agegender.commands.dead_letters.command import dead_letters
from agegender.commands.plan.command import plan
from agegender.commands.query.command import query
from agegender.commands.run.page import load_page_settings
from agegender.commands.run.session import run_session, start_process
from agegender.commands.topics.command import topics_app
from agegender.services.ingest.config import IngestSettings
from agegender.shared.cameras.camera import Camera, cameras_from_sources, load_cameras
from agegender.shared.errors import AgeGenderError, SettingsError
from agegender.shared.runtime.service import EXIT_BAD_SETTINGS, stop_on_signals

app = typer.Typer(
    help="Age and gender of the people before your cameras.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

RUN_PORT = 9100

app.command()(analyze)
app.add_typer(cameras_app, name="cameras")
app.add_typer(topics_app, name="topics")
app.add_typer(query, name="query")
app.command()(audit)
app.command()(plan)
app.add_typer(dead_letters, name="dead-letters")


@app.command()
def run(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="RTSP URLs, webcam:0, video files or folders of pictures."),
    ] = None,
    cameras: Annotated[Path | None, typer.Option(help="A YAML file with the list of cameras.")] = None,
    seconds: Annotated[float | None, typer.Option(help="End after this long; without it, go on.")] = None,
    page: Annotated[bool, typer.Option("--page", help="Serve the live page, at API_PORT (8080).")] = False,
) -> None:
    """Runs the whole pipeline in this process, for one or many cameras.

    Without sources, the cameras of INGEST_CAMERAS or INGEST_CAMERAS_PATH are read, as by the ingest service.
    Results go to the Redis of REDIS_URL, or else to an embedded store that `agegender query` reads.
    """
    if sources and cameras:
        raise SettingsError("give either sources or --cameras FILE, not both")
    chosen: Sequence[Camera]
    if cameras:
        chosen = load_cameras(cameras)
    else:
        chosen = cameras_from_sources(sources) if sources else IngestSettings.load().camera_list()
    process = start_process()
    page_settings = load_page_settings() if page else None
    console = Console()
    summary = run_session(
        chosen,
        console,
        stop=stop_on_signals(),
        seconds=seconds,
        process=process,
        http_port=RUN_PORT,
        page=page_settings,
    )
    console.print(summary.draw())
    if summary.captured == 0:
        console.print("No camera gave a frame.", style="red")
        raise typer.Exit(1)


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(help="End after this long.", min=1)] = 20.0,
    page: Annotated[bool, typer.Option(help="Serve the live page, at API_PORT (8080 or any free).")] = True,
) -> None:
    """Runs the pipeline on a simulated RTSP camera that shows real faces; fails when none gets a result."""
    # The simulator is no part of a camera's way to Redis; nothing but the demo loads it.
    from agegender.commands.demo import run_demo

    raise typer.Exit(run_demo(Console(), seconds, start_process(), stop_on_signals(), page=page))


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
    """Judges labelled faces and says how well: age error, intervals, genders, by age, group and size."""
    # Nothing but this command needs it.
    from agegender.commands.evaluate.report import drawn, write_report
    from agegender.commands.evaluate.run import evaluate as evaluated

    start_process()
    found = evaluated(dataset, Console(stderr=True))
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


def main() -> None:
    """The entry point: errors of ours become one line and exit status 2."""
    try:
        app()
    except AgeGenderError as error:
        typer.echo(f"agegender: {error}", err=True)
        sys.exit(EXIT_BAD_SETTINGS)
