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


class _Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        """Empty until there is something to tell."""
        return Text("" if not task.speed else f"{task.speed:.1f}/s")


class ProgressBar:
    """A bar on standard error: the sources, and below it the frames of the video in hand.

    What is printed to standard output meanwhile goes above it. Where standard error is no terminal, nothing
    is shown.

    Args:
        sources: how many there are.
        done: how many of them an earlier run has done.
    """

    def __init__(self, sources: int, done: int = 0) -> None:
        console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=True,
        )
        self._sources = self._bar.add_task("files", total=sources, completed=done, visible=sources > 1)
        self._frames: TaskID | None = None

    def source_done(self) -> None:
        """One more source is done."""
        self._bar.advance(self._sources)
        if self._frames is not None:
            self._bar.remove_task(self._frames)
            self._frames = None

    def video(self, name: str, frames: int | None) -> None:
        """A video begins; `frames` is None where nobody knows how many there are."""
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
