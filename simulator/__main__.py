"""`python -m simulator [CLIP...]` plays clips as RTSP cameras until it is interrupted."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from agegender.simulator.content.scenes import demo_scene
from agegender.simulator.rtsp.auth import Login
from agegender.simulator.rtsp.cameras import CameraSimulator


def main(
    clips: Annotated[
        list[Path] | None,
        typer.Argument(help="H.264 files without B-frames; without any, the demo's.", exists=True),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="Of the first camera; the next ones count up. 0: any free.")
    ] = 8554,
    login: Annotated[str, typer.Option(help="USER:PASSWORD that the cameras ask for.")] = "",
    clock: Annotated[bool, typer.Option(help="Whether the cameras tell the time of their pictures.")] = True,
) -> None:
    """Plays each clip for ever as an RTSP camera and prints its URL."""
    user, _, password = login.partition(":")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with CameraSimulator(host=host, port=port, login=Login(user, password) if login else None) as cameras:
        for index, clip in enumerate(clips or [demo_scene().path], start=1):
            typer.echo(f"{cameras.add(f'cam{index}', clip, clock=clock)}  {clip}")
        stop.wait()


if __name__ == "__main__":
    typer.run(main)
