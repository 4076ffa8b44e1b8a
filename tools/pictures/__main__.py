"""`make pictures`: draws the pictures of the documentation, from a run of the demo and from the tool."""

from __future__ import annotations

import io
import re
import sys
import tempfile
import threading
from collections import deque
from pathlib import Path

from rich.console import Console, RenderableType

from agegender.analysis.analyzer import Analyzer
from agegender.commands.analyze.copies import Style, picture_marks
from agegender.commands.analyze.writing import write_picture
from agegender.commands.demo.demo import run_demo
from agegender.commands.query.tables import visits_table
from agegender.commands.run.session import Watch
from agegender.commands.run.view import LiveView
from agegender.commands.stores import store_for_reading
from agegender.shared.process.metrics import Metrics
from agegender.shared.process.settings import ProcessSettings, RedisSettings
from tools.pictures.page import draw_page

SECONDS = 12.0
PROGRAM = ".venv/bin/agegender"
_ROOT = Path(__file__).parents[2]
TARGET = _ROOT / "docs" / "demo.svg"
PORTRAIT = _ROOT / "simulator" / "astronaut.jpg"
ANNOTATED = _ROOT / "docs" / "annotated.jpg"
PAGE = _ROOT / "docs" / "page.png"

# The picture is to need no font from the network, and every reader has one of these.
_FONT_FACES = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def _last_table(console: Console, view: LiveView, _metrics: Metrics) -> Watch:
    """Prints the table once, as it was shortly before the end."""

    def watch(done: threading.Event) -> None:
        drawn: deque[RenderableType] = deque(maxlen=4)
        while not done.wait(0.5):
            drawn.append(view.draw())
        console.print(drawn[0])

    return watch


def main() -> None:
    """Draws all of them."""
    draw_demo()
    draw_annotated()
    draw_page(PAGE)


def draw_annotated() -> None:
    """The NASA portrait as `--annotate` writes it."""
    with Analyzer(workers=1) as analyzer:
        picture_bgr, found = analyzer.look_at(PORTRAIT)
    write_picture(ANNOTATED, Style().apply(picture_bgr, picture_marks(found.faces), ()))


def draw_demo() -> None:
    """Runs the demo with a recording console and writes the picture."""
    console = Console(record=True, width=100, file=io.StringIO(), color_system="truecolor")
    # The demo tells how to call the program that runs it.
    sys.argv[0] = PROGRAM
    with tempfile.TemporaryDirectory() as folder:
        process = ProcessSettings(store_path=Path(folder))
        console.print("[bold]$ make demo[/bold]")
        run_demo(console, SECONDS, process, threading.Event(), _last_table)
        console.print(f"[bold]$ {PROGRAM} query visits[/bold]", highlight=False)
        with store_for_reading(RedisSettings(), process) as store:
            console.print(visits_table("Visits", store.visits().items))
    svg = console.export_svg(title="make demo")
    svg = _FONT_FACES.sub("", svg).replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")
    TARGET.write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n")


if __name__ == "__main__":
    main()
