"""How far a run is, on a terminal only."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack, redirect_stderr
from threading import RLock
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.file_proxy import FileProxy
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

_REFRESH_S = 0.1


class _Rate(ProgressColumn):
    """How many a second."""

    def render(self, task: Task) -> Text:
        """Empty until there is something to tell."""
        return Text("" if not task.speed else f"{task.speed:.1f}/s")


class _RowsAboveTheBar:
    """Puts rows above the bar without breaking them: half a line of JSON is not JSON."""

    def __init__(self, console: Console, lock: RLock) -> None:
        self._console = console
        self._lock = lock

    def write(self, text: str, /) -> None:
        with self._lock:
            self._console.out(text.removesuffix("\n"), highlight=False)

    def flush(self) -> None:
        """Nothing is held back."""


class _MessagesAboveTheBar(FileProxy):
    """Puts log lines and messages above the bar, from any thread."""

    def __init__(self, console: Console, lock: RLock) -> None:
        super().__init__(console, sys.stderr)
        self._lock = lock

    def write(self, text: str) -> int:
        with self._lock:
            return super().write(text)

    def flush(self) -> None:
        with self._lock:
            super().flush()


class ProgressBar:
    """A bar on standard error: the sources, and below it the frames of the video in hand.

    Nothing is shown if standard error is not a terminal. If it is one, write rows to `stdout` and messages
    to `sys.stderr`, as it is at that moment: both go above the bar. The bar erases all other output.

    Rich erases the old bar and draws the new one in two steps. A line that another thread writes in between
    lands on the bar, so one lock covers every write. The bar is therefore drawn as work is done, not by
    Rich's own thread.
    """

    def __init__(self) -> None:
        console = Console(stderr=True)
        # Rich takes FORCE_COLOR for a terminal, also where there is none.
        self._is_shown = sys.stderr.isatty() and console.is_interactive
        self._lock = RLock()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _Rate(),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            auto_refresh=False,
            disable=not self._is_shown,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._redirected = ExitStack()
        self._messages = _MessagesAboveTheBar(console, self._lock)
        self._drawn_s = 0.0
        self._sources: TaskID | None = None
        self._frames: TaskID | None = None
        is_terminal = self._is_shown and sys.stdout.isatty()
        self.stdout: TextOutput = _RowsAboveTheBar(console, self._lock) if is_terminal else sys.stdout
        """Standard output, also while the bar is not there."""

    def begin(self, sources: int, done: int) -> None:
        """The work begins: so many sources, and how many of them an earlier run has done."""
        with self._lock:
            self._sources = self._bar.add_task("files", total=sources, completed=done, visible=sources > 1)

    def source_done(self) -> None:
        """One more source is done."""
        with self._lock:
            if self._sources is not None:
                self._bar.advance(self._sources)
            if self._frames is None:
                self._draw()
            else:
                self._bar.remove_task(self._frames)
                self._frames = None
                # Drawn at once: a line written while the bar still has its old height could erase a row.
                self._bar.refresh()

    def video(self, name: str, frames: int | None) -> None:
        """A video begins; `frames` is None if their number is unknown."""
        with self._lock:
            self._frames = self._bar.add_task(name[-24:].replace("[", "("), total=frames)

    def frame_done(self, number: int) -> None:
        """The frame with this number is done."""
        with self._lock:
            if self._frames is not None:
                self._bar.update(self._frames, completed=number + 1)
                self._draw()

    def _draw(self) -> None:
        now_s = time.monotonic()
        if now_s - self._drawn_s >= _REFRESH_S:
            self._drawn_s = now_s
            self._bar.refresh()

    def __enter__(self) -> Self:
        if self._is_shown:
            self._redirected.enter_context(redirect_stderr(self._messages))
        with self._lock:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._messages.flush()
            self._bar.stop()
        self._redirected.close()
