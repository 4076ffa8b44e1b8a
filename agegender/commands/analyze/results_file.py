"""Where the rows of a run go: standard output, or a file that a later run can go on with."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

from agegender.commands.analyze.inputs import Input
from agegender.commands.analyze.journal import Journal
from agegender.commands.analyze.rows import Rows, Summary, TextOutput, Totals
from agegender.shared.errors import SettingsError

JOURNAL_SUFFIX = ".journal"
JOURNAL_OF_COPIES = ".agegender.journal"
"""In the folder of copies, where no rows are written to a file."""

_IN_MEMORY_BYTES = 1_000_000


class ResultsFile:
    """Writes rows and keeps the journal; a source is noted when its rows are safe in the file.

    In a file stand first the rows of the sources that are done, in their order, and at the end those of the
    sources that failed. These are cut off when a run goes on, which tries the failed sources again: so the
    rows of a source are never there twice, whenever a run is killed.

    Args:
        make_rows: makes the rows for a stream.
        stdout: takes the rows where there is no file.
        path: the file; None for standard output.
        copies_to: the folder of copies, if there is one.
        options: what a run that goes on has to have in common with the one before, by name.
        resume: whether to go on with an earlier run.

    Raises:
        SettingsError: the file cannot be written, or an earlier run does not allow this one.
    """

    def __init__(
        self,
        make_rows: Callable[[TextOutput], Rows],
        stdout: TextOutput,
        path: Path | None,
        copies_to: Path | None,
        *,
        options: Mapping[str, str],
        resume: bool,
    ) -> None:
        self._path = path
        self._journal: Journal | None = None
        self._file: IO[str] | None = None
        with contextlib.ExitStack() as opened:
            self._failed = opened.enter_context(SpooledTemporaryFile(_IN_MEMORY_BYTES))
            try:
                journal_path = _journal_path(path, copies_to)
                if journal_path is not None:
                    if resume:
                        _check_journal(journal_path, path)
                    self._journal = Journal(journal_path, options, resume=resume)
                    opened.callback(self._journal.close)
                if path is not None:
                    self._file = opened.enter_context(self._open(path))
            except OSError as error:
                raise SettingsError(f"cannot write {error.filename!r}: {error.strerror}") from None
            self._out = self._file or stdout
            self._done_bytes = self._length()
            self.rows = make_rows(self._out)
            if self._done_bytes == 0:
                self.rows.begin()
                self._out.flush()
                self._done_bytes = self._length()
            self._opened = opened.pop_all()

    def _open(self, path: Path) -> IO[str]:
        done_bytes = self._journal.output_bytes if self._journal is not None else 0
        if done_bytes and (not path.exists() or path.stat().st_size < done_bytes):
            raise SettingsError(f"{str(path)!r} is not the file that the earlier run left: it is too short")
        out = path.open("a", encoding="utf-8", newline="")
        os.truncate(path, done_bytes)
        return out

    def is_done(self, source: Input) -> bool:
        """Whether an earlier run has done it."""
        return self._journal is not None and self._journal.is_done(source.key)

    def end(self, source: Input, totals: Totals) -> None:
        """A source is done or has failed; raises OSError when that cannot be written."""
        self.rows.end(source.shown, totals)
        self._out.flush()
        if totals.error is not None:
            self._put_aside()
        elif self._journal is not None:
            self._done_bytes = self._length()
            self._journal.add(source.key, self._done_bytes)

    def _put_aside(self) -> None:
        """Takes the rows of a failed source out of the file, until the end."""
        if self._path is None:
            return
        with self._path.open("rb") as written:
            written.seek(self._done_bytes)
            shutil.copyfileobj(written, self._failed)
        os.truncate(self._path, self._done_bytes)

    def leave(self) -> None:
        """What was written of a source that is not complete stays, until the run goes on."""
        self._out.flush()

    def finish(self, summary: Summary | None, *, failed: bool) -> None:
        """No more rows come; raises OSError when what is left cannot be written.

        Args:
            summary: of a run that gave all sources their turn. None: the run was interrupted, and keeps
                its journal.
            failed: whether one of them failed; the journal stays then too.
        """
        if self._path is not None:
            self._failed.seek(0)
            with self._path.open("ab") as file:
                shutil.copyfileobj(self._failed, file)
        if summary is not None:
            self.rows.summary(summary)
            self._out.flush()
        if self._journal is not None and summary is not None:
            self._journal.end(failed=failed)

    def close(self) -> None:
        """Closes the files; raises OSError."""
        self._opened.close()

    def _length(self) -> int:
        return os.fstat(self._file.fileno()).st_size if self._file is not None else 0


def _journal_path(path: Path | None, copies_to: Path | None) -> Path | None:
    if path is not None:
        return path.with_name(path.name + JOURNAL_SUFFIX)
    return copies_to / JOURNAL_OF_COPIES if copies_to is not None else None


def _check_journal(journal_path: Path, path: Path | None) -> None:
    """To go on without a journal would do everything again, over what is there."""
    if path is not None and not journal_path.exists() and path.exists() and path.stat().st_size > 0:
        raise SettingsError(
            f"--resume: there is no {str(journal_path)!r}, so the run that wrote {str(path)!r} has come to "
            "its end: leave out --resume to write that file anew"
        )
