"""Where the rows of a run go: standard output, or a file that an interrupted run can be continued in."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

from agegender.analysis.journal import Journal
from agegender.analysis.rows import Rows, Totals
from agegender.analysis.sources import Source
from shared.errors import SettingsError

JOURNAL_SUFFIX = ".journal"
JOURNAL_OF_COPIES = ".agegender.journal"
"""In the folder of copies, where no rows are written to a file."""


class ResultsFile:
    """Writes rows and keeps the journal; a source is noted when its rows are safe in the file.

    Args:
        make_rows: makes the rows for a stream.
        path: the file; None for standard output.
        copies_to: the folder of copies, if there is one.
        resume: whether to go on with an earlier run.

    Raises:
        SettingsError: the file cannot be written, or the journal does not allow this run.
    """

    def __init__(
        self,
        make_rows: Callable[[IO[str]], Rows],
        path: Path | None,
        copies_to: Path | None,
        *,
        resume: bool,
    ) -> None:
        self._path = path
        self._journal: Journal | None = None
        self._out: IO[str] = sys.stdout
        try:
            if path is not None:
                self._journal = Journal(path.with_name(path.name + JOURNAL_SUFFIX), resume=resume)
            elif copies_to is not None:
                self._journal = Journal(copies_to / JOURNAL_OF_COPIES, resume=resume)
            if path is not None:
                self._out = self._open(path)
        except OSError as error:
            raise SettingsError(f"cannot write {error.filename!r}: {error.strerror}") from None
        self.rows = make_rows(self._out)
        if self._length() == 0:
            self.rows.begin()
            self._out.flush()

    def _open(self, path: Path) -> IO[str]:
        done_bytes = self._journal.output_bytes if self._journal is not None else 0
        if done_bytes and (not path.exists() or path.stat().st_size < done_bytes):
            raise SettingsError(f"{str(path)!r} is not the file that the earlier run left: it is too short")
        out = path.open("a", encoding="utf-8", newline="")
        os.truncate(path, done_bytes)
        return out

    def is_done(self, source: Source) -> bool:
        """Whether an earlier run has done it."""
        return self._journal is not None and self._journal.is_done(source.key)

    @property
    def done_count(self) -> int:
        """How many sources an earlier run has done."""
        return 0 if self._journal is None else self._journal.done_count

    @property
    def can_resume(self) -> bool:
        """Whether a later run can go on where this one stops."""
        return self._journal is not None

    def end(self, source: Source, totals: Totals) -> None:
        """A source is done; raises OSError when that cannot be written."""
        self.rows.end(source.shown, totals)
        self._out.flush()
        if self._journal is not None:
            self._journal.add(source.key, self._length(), failed=totals.error is not None)

    def leave(self) -> None:
        """What was written of a source that is not complete stays, until the run goes on."""
        self._out.flush()

    def close(self, *, finished: bool) -> None:
        """Closes the files; raises OSError. The journal stays where the run is not finished."""
        with contextlib.ExitStack() as stack:
            if self._journal is not None:
                stack.callback(self._journal.close, finished=finished)
            if self._path is not None:
                stack.callback(self._out.close)

    def _length(self) -> int:
        return os.fstat(self._out.fileno()).st_size if self._path is not None else 0
