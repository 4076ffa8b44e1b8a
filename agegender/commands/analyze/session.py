"""One call of `agegender analyze`: checks the options, opens everything, works, reports."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from agegender.analysis.analyzer import DEFAULT_FPS, Analyzer
from agegender.commands.analyze.copies import Style
from agegender.commands.analyze.copy_folder import CopyFolder
from agegender.commands.analyze.inputs import STDIN, FoundInputs, Skipped, SkipReason, find_inputs
from agegender.commands.analyze.progress import ProgressBar
from agegender.commands.analyze.results_file import ResultsFile
from agegender.commands.analyze.rows import CsvRows, JsonRows, PeopleOnly, Rows, Summary, TextOutput
from agegender.commands.analyze.run import EVERY_FRAME, AnalysisRun, CopyOptions
from agegender.commands.analyze.spool import Spool, SpoolStopped
from agegender.commands.analyze.table_rows import TableRows
from agegender.commands.analyze.window import Window
from agegender.commands.terminal import terminal_width
from agegender.shared.errors import SettingsError
from agegender.shared.process.logs import set_up_logs
from agegender.shared.process.secrets import mask_message
from agegender.shared.process.signals import stop_on_signals

RowFormat = Literal["table", "json", "csv"]
_FORMATS: dict[str, RowFormat] = {".csv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json"}

EXIT_FAILED = 1
EXIT_INTERRUPTED = 128 + signal.SIGINT
_MOST_NAMED = 5  # of the files that were skipped


@dataclass(frozen=True, slots=True)
class AnalyzeOptions:
    """The options of the command line; `agegender analyze --help` explains them."""

    inputs: Sequence[str]
    camera: int | None
    as_json: bool
    as_csv: bool
    people: bool
    output: Path | None
    annotate: Path | None
    blur: bool
    labels: bool
    show: bool
    fps: str | None
    seconds: float | None
    resume: bool
    workers: int | None

    def check(self) -> None:
        """Raises SettingsError for options that do not fit together."""
        if not self.inputs and self.camera is None:
            raise SettingsError("nothing to analyze: give pictures, videos, folders, RTSP URLs or --camera 0")
        if self.as_json and self.as_csv:
            raise SettingsError("give one of --json and --csv")
        if self.blur and not self.makes_copies:
            raise SettingsError(
                "--blur changes copies only: say where they go with --annotate DIR, or --show"
            )
        if self.resume and not self.keeps_results:
            raise SettingsError("--resume needs the --output FILE or the --annotate DIR of the earlier run")
        if self.resume and STDIN in self.inputs:
            raise SettingsError("--resume cannot go on with standard input")

    @property
    def makes_copies(self) -> bool:
        """Whether pictures with boxes are written or shown."""
        return self.annotate is not None or self.show

    @property
    def keeps_results(self) -> bool:
        """Whether a later run can see what this one did."""
        return self.output is not None or self.annotate is not None

    @property
    def format(self) -> RowFormat:
        """The form of the rows: as an option says, else as the name of the output says, else a table."""
        if self.as_json or self.as_csv:
            return "json" if self.as_json else "csv"
        return _FORMATS.get("" if self.output is None else self.output.suffix.lower(), "table")

    @property
    def rows_by_name(self) -> str:
        """The form of the rows, as the journal of a run names it."""
        return ("a table" if self.format == "table" else f"--{self.format}") + " --people" * self.people

    def rows(self, out: TextOutput) -> Rows:
        """The rows in the chosen form."""
        rows: Rows
        match self.format:
            case "json":
                rows = JsonRows(out)
            case "csv":
                rows = CsvRows(out)
            case "table":
                rows = TableRows(out, None if self.output is not None else terminal_width())
        return PeopleOnly(rows) if self.people else rows

    def rate(self, default: float | None) -> float | None:
        """The number that --fps gives, None for every frame; raises SettingsError."""
        if self.fps is None:
            return default
        if self.fps == EVERY_FRAME:
            return None
        try:
            rate = float(self.fps)
        except ValueError:
            rate = 0.0
        if not 0 < rate <= 60:
            raise SettingsError(f"--fps {self.fps}: expected a number over 0 and up to 60, or {EVERY_FRAME}")
        return rate


def analyze_all(options: AnalyzeOptions) -> int:
    """Analyzes all inputs and writes the rows; returns the exit status.

    Raises:
        AgeGenderError: an option or a setting is wrong, or weights are missing.
    """
    options.check()
    rate = options.rate(None if options.makes_copies else DEFAULT_FPS)
    if options.blur and rate is not None:
        raise SettingsError(
            "--blur looks at every frame, because a face would show in the others: leave out --fps"
        )
    set_up_logs("error", "text")
    stop = stop_on_signals()
    with TemporaryDirectory(prefix="agegender-") as folder:
        try:
            found = find_inputs(
                options.inputs,
                webcam=options.camera,
                fps=options.rate(None),
                leave_out=options.annotate,
                spool=Spool(Path(folder), stop.is_set),
            )
        except SpoolStopped:
            _tell("stopped")
            return EXIT_INTERRUPTED
        folder_of_copies = None if options.annotate is None else CopyFolder(options.annotate, found.sources)
        if folder_of_copies is not None and any(one.kind in ("video", "live") for one in found.sources):
            _tell("the copies of videos have no sound")
        style = Style(anonymizes=options.blur, labels=options.labels)
        copies = CopyOptions(style, folder_of_copies, rate, options.seconds)
        with Analyzer(workers=options.workers) as analyzer:
            window = Window("agegender") if options.show else None
            bar = ProgressBar()
            results = ResultsFile(
                options.rows,
                bar.stdout,
                options.output,
                options.annotate,
                options={"rows": options.rows_by_name, **copies.by_name()},
                resume=options.resume,
            )
            with bar:
                run = AnalysisRun(analyzer, copies, results, bar, window, _tell, stop.is_set)
                can_resume = options.keeps_results and STDIN not in options.inputs
                status = _work(run, found, results, can_resume=can_resume)
            if window is not None:
                window.close()
    return status


def _work(run: AnalysisRun, found: FoundInputs, results: ResultsFile, *, can_resume: bool) -> int:
    finished = False
    try:
        run.work(found.sources)
        finished = not run.interrupted
        summary = Summary(len(found.sources), run.failed, tuple(found.skipped)) if finished else None
        results.finish(summary, failed=run.failed > 0)
    except BrokenPipeError:
        # The reader has closed the pipe, as `head` does.
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
    _tell_skipped(found.skipped)
    if run.failed:
        again = "; the same command with --resume tries them again" if can_resume else ""
        _tell(f"{run.failed} of {len(found.sources)} failed{again}")
    return EXIT_FAILED if run.failed else 0


def _tell_skipped(skipped: Sequence[Skipped]) -> None:
    """How many files were skipped and why, and the first few of their names."""
    if not skipped:
        return
    by_reason = {reason: [one.shown for one in skipped if one.reason is reason] for reason in SkipReason}
    counts = ", ".join(reason.counted(len(names)) for reason, names in by_reason.items() if names)
    _tell(f"{len(skipped)} {'file' if len(skipped) == 1 else 'files'} skipped: {counts}")
    for reason, names in by_reason.items():
        if names:
            more = f", and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
            _tell(f"  {reason}: {', '.join(names[:_MOST_NAMED])}{more}")


def _tell(text: str) -> None:
    # The progress bar replaces `sys.stderr`; typer would write past it.
    sys.stderr.write(mask_message(f"agegender: {text}\n"))
