"""How far a run is, on a terminal only."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from agegender.commands.analyze.rows import TextOutput


class _Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        """Empty until there is something to tell."""
        return Text("" if not task.speed else f"{task.speed:.1f}/s")


class _AboveTheBar:
    """Puts lines above the bar, as long as they are: a line of JSON that was broken would be none."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str, /) -> None:
        self._console.out(text.removesuffix("\n"), highlight=False)

    def flush(self) -> None:
        """Nothing is held back."""


class ProgressBar:
    """A bar on standard error: the sources, and below it the frames of the video in hand.

    Where standard error is no terminal, nothing is shown. Where it is, rows have to be written to `stdout`,
    and other lines to `sys.stderr`, as it is at that moment: they go above the bar then, which would erase
    what else is written to its terminal.
    """

    def __init__(self) -> None:
        console = Console(stderr=True)
        # Rich takes FORCE_COLOR for a terminal, also where there is none.
        is_shown = sys.stderr.isatty() and console.is_interactive
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not is_shown,
            redirect_stdout=False,
            redirect_stderr=True,
        )
        self._sources: TaskID | None = None
        self._frames: TaskID | None = None
        self.stdout: TextOutput = _AboveTheBar(console) if is_shown and sys.stdout.isatty() else sys.stdout
        """Standard output, also while the bar is not there."""

    def begin(self, sources: int, done: int) -> None:
        """The work begins: so many sources, and how many of them an earlier run has done."""
        self._sources = self._bar.add_task("files", total=sources, completed=done, visible=sources > 1)

    def source_done(self) -> None:
        """One more source is done."""
        if self._sources is not None:
            self._bar.advance(self._sources)
        if self._frames is not None:
            self._bar.remove_task(self._frames)
            # Drawn at once: a line written while the bar still has its old height could erase a row.
            self._bar.refresh()
            self._frames = None

    def video(self, name: str, frames: int | None) -> None:
        """A video begins; `frames` is None if their number is unknown."""
        self._frames = self._bar.add_task(name[-24:].replace("[", "("), total=frames)

    def frame_done(self, number: int) -> None:
        """The frame with this number is done."""
        if self._frames is not None:
            self._bar.update(self._frames, completed=number + 1)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()
