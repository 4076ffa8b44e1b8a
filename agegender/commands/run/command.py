"""`agegender run`: the options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)

_HTTP_PORT = 9100


@app.command()
def run(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="RTSP URLs, webcam:0, video files or folders of pictures."),
    ] = None,
    cameras: Annotated[Path | None, typer.Option(help="A YAML file with the list of cameras.")] = None,
    seconds: Annotated[
        float | None, typer.Option(help="Stop after this many seconds; without it, run on.")
    ] = None,
    page: Annotated[
        bool,
        typer.Option(
            "--page", help="Serve the live page, at API_PORT; if unset, at 8080 or the next free port."
        ),
    ] = False,
) -> None:
    """Runs the whole pipeline in this process, for one or many cameras.

    Without sources, the cameras come from INGEST_CAMERAS or INGEST_CAMERAS_PATH, as in the ingest service.
    Results go to the Redis of REDIS_URL. Without it they go to an embedded store. `query` reads both.
    """
    from rich.console import Console

    from agegender.commands.process import start_process
    from agegender.commands.run.page import load_page_settings
    from agegender.commands.run.session import chosen_cameras, run_session
    from agegender.shared.process.signals import stop_on_signals

    chosen = chosen_cameras(sources or (), cameras)
    process = start_process()
    page_settings = load_page_settings() if page else None
    console = Console()
    summary = run_session(
        chosen,
        console,
        stop=stop_on_signals(),
        seconds=seconds,
        process=process,
        http_port=_HTTP_PORT,
        page=page_settings,
    )
    console.print(summary.draw())
    if summary.captured == 0:
        console.print("No camera gave a frame.", style="red")
    if summary.captured == 0 or summary.not_stored:
        raise typer.Exit(1)
