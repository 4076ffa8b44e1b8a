"""`agegender demo`: the options."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    seconds: Annotated[float, typer.Option(help="Stop after this many seconds.", min=1)] = 20.0,
    page: Annotated[
        bool, typer.Option(help="Serve the live page, at API_PORT; if unset, at 8080 or the next free port.")
    ] = True,
) -> None:
    """Runs the pipeline on a simulated RTSP camera that shows real faces.

    Exit status: 0 faces were classified, 1 no face got a result.
    """
    from rich.console import Console

    from agegender.commands.demo.demo import run_demo
    from agegender.commands.process import start_process
    from agegender.shared.process.signals import stop_on_signals

    raise typer.Exit(run_demo(Console(), seconds, start_process(), stop_on_signals(), page=page))
