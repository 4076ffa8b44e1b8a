"""`agegender demo`: a simulated camera, the whole pipeline, and what came of it."""

from __future__ import annotations

import secrets
import shlex
import sys
import threading
from pathlib import Path

from rich.console import Console

from agegender.commands.run.page import load_page_settings
from agegender.commands.run.session import Watcher, run_session, watcher
from agegender.services.api.config import ApiSettings
from agegender.shared.cameras.camera import Camera
from agegender.shared.errors import MissingExtra
from agegender.shared.process.settings import ProcessSettings
from agegender.simulator.content.scenes import demo_scene
from agegender.simulator.rtsp.auth import Login
from agegender.simulator.rtsp.cameras import CameraSimulator

CAMERA = "demo"
_ANY_PORT = 0


def _this_program() -> str:
    """How this program was called, so that the line printed can be pasted."""
    called = Path(sys.argv[0])
    if called.name == "__main__.py":
        return "python -m agegender"
    if called.is_relative_to(Path.cwd()):
        called = called.relative_to(Path.cwd())
    return shlex.quote(str(called))


def _page_settings(console: Console) -> ApiSettings | None:
    try:
        return load_page_settings()
    except MissingExtra as error:
        console.print(str(error), highlight=False, markup=False)
        return None


def run_demo(
    console: Console,
    seconds: float,
    process: ProcessSettings,
    stop: threading.Event,
    show: Watcher = watcher,
    *,
    page: bool = False,
) -> int:
    """Runs the demo; the return value is the exit status: 1 when no face got a result.

    `page`: whether the live page is served, where its packages are installed.
    """
    page_settings = _page_settings(console) if page else None
    console.print("Preparing a clip with real faces …")
    scene = demo_scene()
    # A login of its own, as every real camera has one: it must show up nowhere below.
    login = Login("viewer", secrets.token_urlsafe(12))
    with CameraSimulator(login=login) as simulator:
        shown = simulator.add(CAMERA, scene.path)
        console.print(f"A simulated camera shows {scene.face_count} faces at {shown}", highlight=False)
        camera = Camera.model_validate({"id": CAMERA, "source": simulator.url_with_login(CAMERA)})
        summary = run_session(
            [camera],
            console,
            stop=stop,
            seconds=seconds,
            process=process,
            http_port=_ANY_PORT,
            page=page_settings,
            show=show,
        )
    console.print(summary.draw())
    if summary.results == 0:
        console.print("No face got a result: see the messages above.", style="red")
        return 1
    console.print(f"The results stay in the store:  {_this_program()} query visits", highlight=False)
    return 0
