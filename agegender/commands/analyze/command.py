"""`agegender analyze`: what a person can ask of the tool."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from agegender.analysis.analyzer import DEFAULT_FPS, Analyzer
from agegender.commands.analyze.copies import Style
from agegender.commands.analyze.copy_folder import CopyFolder
from agegender.commands.analyze.progress import ProgressBar
from agegender.commands.analyze.results_file import ResultsFile
from agegender.commands.analyze.rows import CsvRows, JsonRows, Out, Rows, TableRows
from agegender.commands.analyze.run import EVERY_FRAME, Run, Wishes
from agegender.commands.analyze.sources import STDIN, Source, find_sources, spool_stdin
from agegender.commands.analyze.window import Window
from agegender.shared.errors import SettingsError
from agegender.shared.process.logs import set_up_logs
from agegender.shared.process.secrets import mask
from agegender.shared.runtime.service import stop_on_signals

EXIT_FAILED = 1
EXIT_INTERRUPTED = 128 + signal.SIGINT
_STDERR = 2


def analyze(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Pictures, videos, folders of them, globs, RTSP URLs, or - for standard input.",
            metavar="INPUT...",
            show_default=False,
        ),
    ] = None,
    camera: Annotated[int | None, typer.Option(help="A webcam of this machine, from 0 on.", min=0)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON Lines in place of the table.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV in place of the table.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the rows to this file.")
    ] = None,
    annotate: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write copies with boxes and labels; those of videos have no sound. "
            "Copies of earlier runs are replaced, any other file never.",
        ),
    ] = None,
    blur: Annotated[bool, typer.Option("--blur", help="Cover the faces in the copies, for good.")] = False,
    labels: Annotated[
        bool, typer.Option("--labels/--no-labels", help="Boxes and labels in the copies.")
    ] = True,
    show: Annotated[bool, typer.Option("--show", help="Open a window with the copies.")] = False,
    fps: Annotated[
        str | None,
        typer.Option(
            metavar="N|all",
            help="Frames a second of a video to analyze. 5 unless told; all where copies are made.",
            show_default=False,
        ),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(help="How long to watch each camera; without it, until Ctrl-C.", min=0.1)
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where a run stopped, and try again what failed.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(help="Pictures at the same time; one a core unless told.", min=1)
    ] = None,
) -> None:
    """Finds the faces in pictures, videos and cameras, and estimates their age and gender.

    Exit status: 0 done, 1 something could not be read or written, 2 wrong usage, 130 interrupted.
    """
    names = inputs or []
    _check(names, camera, as_json and as_csv, output or annotate, blur, annotate or show, resume)
    makes_copies = annotate is not None or show
    rate = _rate(fps, blur=blur, default=None if makes_copies else DEFAULT_FPS)
    camera_rate = _rate(fps, blur=False, default=None)
    make_rows: Callable[[Out], Rows] = JsonRows if as_json else CsvRows if as_csv else _table_of(output)
    set_up_logs("error", "text")
    stop = stop_on_signals()
    with TemporaryDirectory(prefix="agegender-") as folder:
        stdin_copy = spool_stdin(Path(folder)) if STDIN in names else None
        sources = find_sources(
            names, webcam=camera, fps=camera_rate, leave_out=annotate, stdin_copy=stdin_copy
        )
        copies = None if annotate is None else CopyFolder(annotate, sources)
        if copies is not None and any(source.kind in ("video", "live") for source in sources):
            _tell("the copies of videos have no sound")
        wishes = Wishes(Style(covers=blur, labels=labels), copies, rate, seconds)
        options = {"rows": "--json" if as_json else "--csv" if as_csv else "a table", **wishes.options()}
        with _quiet_loading():
            analyzer = Analyzer(workers=workers)
        with analyzer:
            window = Window("agegender") if show else None
            bar = ProgressBar()
            results = ResultsFile(make_rows, bar.stdout, output, annotate, options=options, resume=resume)
            with bar:
                run = Run(analyzer, wishes, results, bar, window, _tell, stop.is_set)
                can_resume = (output or annotate) is not None and STDIN not in names
                status = _work(run, sources, results, can_resume=can_resume)
            if window is not None:
                window.close()
    raise typer.Exit(status)


def _work(run: Run, sources: Sequence[Source], results: ResultsFile, *, can_resume: bool) -> int:
    finished = False
    try:
        run.work(sources)
        finished = not run.interrupted
        results.finish(ended=finished, failed=run.failed > 0)
    except BrokenPipeError:
        # Who read the rows wants no more, as `head` does.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except OSError as error:
        _tell(f"cannot write the rows: {error.strerror}")
        return EXIT_FAILED
    finally:
        with contextlib.suppress(OSError):
            results.close()
    if not finished:
        _tell("stopped; the same command with --resume goes on" if can_resume else "stopped")
        return EXIT_INTERRUPTED
    if run.failed:
        again = "; the same command with --resume tries them again" if can_resume else ""
        _tell(f"{run.failed} of {len(sources)} failed{again}")
    return EXIT_FAILED if run.failed else 0


def _check(
    names: Sequence[str],
    camera: int | None,
    is_twice: bool,
    keeps: Path | None,
    blur: bool,
    shows: object,
    resume: bool,
) -> None:
    if not names and camera is None:
        raise SettingsError("nothing to analyze: give pictures, videos, folders, RTSP URLs or --camera 0")
    if is_twice:
        raise SettingsError("give one of --json and --csv")
    if blur and not shows:
        raise SettingsError("--blur changes copies only: say where they go with --annotate DIR, or --show")
    if resume and keeps is None:
        raise SettingsError("--resume needs the --output FILE or the --annotate DIR of the run to go on with")
    if resume and STDIN in names:
        raise SettingsError("--resume cannot go on with standard input")


def _rate(fps: str | None, *, blur: bool, default: float | None) -> float | None:
    if fps is None:
        return default
    if fps == EVERY_FRAME:
        return None
    try:
        rate = float(fps)
    except ValueError:
        rate = 0.0
    if not 0 < rate <= 60:
        raise SettingsError(f"--fps {fps}: expected a number over 0 and up to 60, or {EVERY_FRAME}")
    if blur:
        raise SettingsError(
            "--blur looks at every frame, as a face would show in the others: leave out --fps"
        )
    return rate


def _table_of(output: Path | None) -> Callable[[Out], Rows]:
    width = 100 if output is not None else shutil.get_terminal_size((100, 24)).columns
    return lambda out: TableRows(out, width)


@contextlib.contextmanager
def _quiet_loading() -> Iterator[None]:
    """LiteRT's native code greets on standard error, past Python, and knows no way to be silent."""
    sys.stderr.flush()
    kept = os.dup(_STDERR)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), _STDERR)
    try:
        yield
    finally:
        os.dup2(kept, _STDERR)
        os.close(kept)


def _tell(text: str) -> None:
    # Not by typer, which would go around what the progress bar puts in the place of standard error.
    sys.stderr.write(mask(f"agegender: {text}\n"))
