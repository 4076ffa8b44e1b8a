"""`agegender plan`: the options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False)


@app.command()
def plan(
    cameras: Annotated[int, typer.Option(help="The number of cameras, 1 to 100,000.")],
    fps: Annotated[float, typer.Option(help="Frames a second to analyze, of each camera.")] = 5.0,
    faces: Annotated[
        float, typer.Option(help="People before a camera at the same time, in busy hours.")
    ] = 2.0,
    stay: Annotated[float, typer.Option(help="Seconds that a person stays before a camera.")] = 20.0,
    busy_hours: Annotated[float, typer.Option(help="Busy hours of a day.")] = 12.0,
    stream_fps: Annotated[float, typer.Option(help="Frames a second that a camera sends.")] = 25.0,
    stream_size: Annotated[str, typer.Option(help="The size of these frames in pixels.")] = "1280x720",
    gpu: Annotated[bool, typer.Option("--gpu", help="Run the nets of classify on GPUs.")] = False,
    headroom: Annotated[float, typer.Option(help="How many times this load the workers must bear.")] = 1.5,
    replication: Annotated[int, typer.Option(help="Copies of each message that Kafka keeps.")] = 3,
    picture_minutes: Annotated[float, typer.Option(help="Minutes that Kafka keeps pictures.")] = 10.0,
    kept_days: Annotated[float, typer.Option(help="Days that Redis keeps visits.")] = 1.0,
    within: Annotated[
        float, typer.Option(help="Seconds from a frame to the store, for 99 of 100 results.")
    ] = 2.0,
    constants: Annotated[
        Path | None,
        typer.Option(help="Measurements of your machine: `make bench CONSTANTS=FILE` writes them."),
    ] = None,
    simulate: Annotated[
        bool, typer.Option("--simulate", help="Simulate the plan: usual hours, a rush, a worker that dies.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Computes what a number of cameras needs: workers, partitions, Kafka, Redis.

    It also says what costs most and what breaks first.
    """
    from agegender.commands.plan.run import picture_size, run_plan

    asked = {
        "cameras": cameras,
        "fps": fps,
        "faces": faces,
        "stay_s": stay,
        "busy_hours": busy_hours,
        "stream_fps": stream_fps,
        "stream_wh": picture_size("--stream-size", stream_size),
        "gpu": gpu,
        "headroom": headroom,
        "replication": replication,
        "picture_minutes": picture_minutes,
        "kept_days": kept_days,
        "within_s": within,
    }
    if not run_plan(asked, constants, simulate=simulate, as_json=as_json):
        raise typer.Exit(1)
